"""`python -m wharfinger`: the command line, where its scripts are not on the path."""

from wharfinger.cli import main

if __name__ == "__main__":
    main()
