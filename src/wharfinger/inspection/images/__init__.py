"""Images as structures: where each format says that it ends, and how large it says it is."""
