"""The media types that inspection knows: names, extensions, aliases, and what may stand for what.

One row per type. The rules of agreement are data here and nowhere else:

* `aliases` are other spellings of the same type (IANA registry, and what browsers send).
* `accepts` are detected types that this type's extension makes more precise: the bytes
  of CSV are plain text, so `.csv` accepts "text/*". "text/*" means any text without
  active content.
* `isa` are wider types that name this type truthfully: a docx is a zip.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

__all__ = [
    "ANY_TEXT",
    "CLAIMS_NOTHING",
    "KINDS",
    "UNKNOWN_TYPE",
    "Family",
    "Kind",
    "describe_type",
    "extension_of_type",
    "kind_of_type",
    "kinds_of_claim",
    "kinds_of_extension",
    "type_of_extension",
]

UNKNOWN_TYPE: Final = "application/octet-stream"
ANY_TEXT: Final = "text/*"


class Family(enum.Enum):
    """What people mean by the kind of a file."""

    IMAGE = "image"
    DOCUMENT = "document"
    TEXT = "text"
    MEDIA = "media"
    ARCHIVE = "archive"
    FONT = "font"
    DATA = "data"
    MARKUP = "markup"
    SCRIPT = "script"
    EXECUTABLE = "executable"

    @property
    def harmless(self) -> bool:
        """Whether people expect that nothing of such a file runs when it is opened."""
        return self not in {Family.MARKUP, Family.SCRIPT, Family.EXECUTABLE}


@dataclass(frozen=True, slots=True)
class Kind:
    """One media type; columns with several values are separated by spaces."""

    type: str
    label: str
    family: Family
    extensions: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    accepts: frozenset[str] = frozenset()
    isa: frozenset[str] = frozenset()
    active: bool = False


def _kind(
    media_type: str,
    label: str,
    family: Family,
    extensions: str = "",
    aliases: str = "",
    *,
    accepts: str = "",
    isa: str = "",
    active: bool = False,
) -> Kind:
    return Kind(
        media_type,
        label,
        family,
        tuple(extensions.split()),
        tuple(aliases.split()),
        frozenset(accepts.split()),
        frozenset(isa.split()),
        active or not family.harmless,
    )


_I, _D, _T, _M, _A, _F = (
    Family.IMAGE,
    Family.DOCUMENT,
    Family.TEXT,
    Family.MEDIA,
    Family.ARCHIVE,
    Family.FONT,
)
_S, _X, _H = Family.SCRIPT, Family.EXECUTABLE, Family.MARKUP
_OOXML = "application/vnd.openxmlformats-officedocument"
_ZIP = "application/zip"
_OLE = "application/x-ole-storage"
# What libmagic calls it. Only its password tells which kind of document is inside.
_LOCKED = "application/encrypted"
_XML = "application/xml"
_JSON = "application/json"

# fmt: off
KINDS: Final[tuple[Kind, ...]] = (
    # images
    _kind("image/jpeg", "JPEG image", _I, ".jpg .jpeg .jpe .jfif", "image/jpg image/pjpeg image/x-jpeg"),
    _kind("image/png", "PNG image", _I, ".png .apng", "image/x-png image/apng image/vnd.mozilla.apng"),
    _kind("image/gif", "GIF image", _I, ".gif"),
    _kind("image/webp", "WebP image", _I, ".webp"),
    _kind("image/bmp", "BMP image", _I, ".bmp .dib", "image/x-bmp image/x-ms-bmp image/x-windows-bmp"),
    _kind("image/tiff", "TIFF image", _I, ".tif .tiff", "image/tif image/x-tiff"),
    _kind("image/x-adobe-dng", "DNG raw image", _I, ".dng", "image/dng", accepts="image/tiff"),
    _kind("image/vnd.microsoft.icon", "icon", _I, ".ico .cur", "image/x-icon image/ico image/icon"),
    _kind("image/avif", "AVIF image", _I, ".avif", "image/avif-sequence"),
    _kind("image/heic", "HEIC image", _I, ".heic", "image/heic-sequence", accepts="image/heif"),
    _kind("image/heif", "HEIF image", _I, ".heif .hif", "image/heif-sequence", accepts="image/heic"),
    _kind("image/jxl", "JPEG XL image", _I, ".jxl"),
    _kind("image/jp2", "JPEG 2000 image", _I, ".jp2 .jpx .j2k", "image/jpx image/jpeg2000"),
    _kind("image/vnd.adobe.photoshop", "Photoshop image", _I, ".psd", "image/x-photoshop application/x-photoshop image/psd"),
    _kind("image/svg+xml", "SVG image", _I, ".svg", "image/svg", isa=_XML, active=True),
    # documents
    _kind("application/pdf", "PDF document", _D, ".pdf", "application/x-pdf"),
    _kind("application/postscript", "PostScript document", _D, ".ps .eps", "application/eps image/x-eps"),
    _kind("application/rtf", "RTF document", _D, ".rtf", "text/rtf application/x-rtf"),
    _kind(_OOXML, "Office document", _D, isa=_ZIP),
    _kind(f"{_OOXML}.wordprocessingml.document", "Word document", _D, ".docx .dotx", f"{_OOXML}.wordprocessingml.template", accepts=f"{_OOXML} {_LOCKED}", isa=f"{_ZIP} {_OOXML}"),
    _kind(f"{_OOXML}.spreadsheetml.sheet", "Excel workbook", _D, ".xlsx .xltx", f"{_OOXML}.spreadsheetml.template", accepts=f"{_OOXML} {_LOCKED}", isa=f"{_ZIP} {_OOXML}"),
    _kind(f"{_OOXML}.presentationml.presentation", "PowerPoint presentation", _D, ".pptx .ppsx .potx", f"{_OOXML}.presentationml.slideshow {_OOXML}.presentationml.template", accepts=f"{_OOXML} {_LOCKED}", isa=f"{_ZIP} {_OOXML}"),
    _kind("application/vnd.ms-word.document.macroenabled.12", "Word document with macros", _D, ".docm .dotm", "application/vnd.ms-word.template.macroenabled.12", accepts=f"{_OOXML} {_OOXML}.wordprocessingml.document {_LOCKED}", isa=_ZIP, active=True),
    _kind("application/vnd.ms-excel.sheet.macroenabled.12", "Excel workbook with macros", _D, ".xlsm .xltm .xlam", "application/vnd.ms-excel.template.macroenabled.12 application/vnd.ms-excel.addin.macroenabled.12", accepts=f"{_OOXML} {_OOXML}.spreadsheetml.sheet {_LOCKED}", isa=_ZIP, active=True),
    _kind("application/vnd.ms-excel.sheet.binary.macroenabled.12", "Excel binary workbook", _D, ".xlsb", accepts=f"{_OOXML} {_OOXML}.spreadsheetml.sheet {_LOCKED}", isa=_ZIP, active=True),
    _kind("application/vnd.ms-powerpoint.presentation.macroenabled.12", "PowerPoint presentation with macros", _D, ".pptm .ppsm .potm .ppam", "application/vnd.ms-powerpoint.slideshow.macroenabled.12 application/vnd.ms-powerpoint.template.macroenabled.12 application/vnd.ms-powerpoint.addin.macroenabled.12", accepts=f"{_OOXML} {_OOXML}.presentationml.presentation {_LOCKED}", isa=_ZIP, active=True),
    _kind("application/vnd.oasis.opendocument.text", "OpenDocument text", _D, ".odt .ott", "application/vnd.oasis.opendocument.text-template", isa=_ZIP),
    _kind("application/vnd.oasis.opendocument.spreadsheet", "OpenDocument spreadsheet", _D, ".ods .ots", "application/vnd.oasis.opendocument.spreadsheet-template", isa=_ZIP),
    _kind("application/vnd.oasis.opendocument.presentation", "OpenDocument presentation", _D, ".odp .otp", "application/vnd.oasis.opendocument.presentation-template", isa=_ZIP),
    _kind("application/vnd.oasis.opendocument.graphics", "OpenDocument drawing", _D, ".odg .otg", "application/vnd.oasis.opendocument.graphics-template", isa=_ZIP),
    _kind("application/vnd.oasis.opendocument.formula", "OpenDocument formula", _D, ".odf", isa=_ZIP),
    _kind("application/epub+zip", "EPUB book", _D, ".epub", isa=_ZIP),
    _kind(_OLE, "OLE compound file", _D, "", "application/x-cfb application/cdfv2"),
    _kind(_LOCKED, "encrypted Office document", _D, isa=_OLE),
    _kind("application/msword", "Word 97 document", _D, ".doc", accepts=_OLE, isa=_OLE),
    _kind("application/vnd.ms-excel", "Excel 97 workbook", _D, ".xls", accepts=_OLE, isa=_OLE),
    _kind("application/vnd.ms-powerpoint", "PowerPoint 97 presentation", _D, ".ppt .pps", accepts=_OLE, isa=_OLE),
    _kind("application/vnd.ms-outlook", "Outlook message", _D, ".msg", accepts=_OLE, isa=_OLE),
    # audio and video
    _kind("video/mp4", "MP4 video", _M, ".mp4 .m4v", "video/x-m4v application/mp4", accepts="audio/mp4 video/quicktime"),
    _kind("audio/mp4", "MP4 audio", _M, ".m4a .m4b", "audio/x-m4a audio/m4a", accepts="video/mp4"),
    _kind("video/quicktime", "QuickTime video", _M, ".mov .qt", accepts="video/mp4"),
    _kind("video/3gpp", "3GPP video", _M, ".3gp .3g2", "video/3gpp2 audio/3gpp audio/3gpp2", accepts="video/mp4"),
    _kind("video/webm", "WebM video", _M, ".webm", "audio/webm"),
    _kind("video/x-matroska", "Matroska video", _M, ".mkv .mka", "video/matroska audio/matroska audio/x-matroska"),
    _kind("video/x-msvideo", "AVI video", _M, ".avi", "video/avi video/msvideo video/vnd.avi"),
    _kind("video/mpeg", "MPEG video", _M, ".mpg .mpeg"),
    _kind("video/mp2t", "MPEG transport stream", _M, ".ts .mts .m2ts"),
    _kind("video/ogg", "Ogg video", _M, ".ogv .ogg", isa="application/ogg"),
    _kind("video/x-flv", "Flash video", _M, ".flv"),
    _kind("video/x-ms-asf", "Windows Media file", _M, ".asf .wmv .wma", "video/x-ms-wmv audio/x-ms-wma"),
    _kind("audio/mpeg", "MP3 audio", _M, ".mp3 .mp2 .mpga", "audio/mp3 audio/x-mp3 audio/mpeg3 audio/x-mpeg audio/x-mpeg-3"),
    _kind("audio/wav", "WAV audio", _M, ".wav", "audio/x-wav audio/wave audio/vnd.wave audio/x-pn-wav"),
    _kind("audio/ogg", "Ogg audio", _M, ".ogg .oga .opus .spx", "audio/opus audio/vorbis", isa="application/ogg"),
    _kind("application/ogg", "Ogg media", _M, ".ogx"),
    _kind("audio/flac", "FLAC audio", _M, ".flac", "audio/x-flac"),
    _kind("audio/aac", "AAC audio", _M, ".aac", "audio/x-aac audio/aacp audio/x-hx-aac-adts"),
    _kind("audio/aiff", "AIFF audio", _M, ".aif .aiff .aifc", "audio/x-aiff"),
    _kind("audio/midi", "MIDI music", _M, ".mid .midi", "audio/x-midi audio/mid"),
    # archives
    _kind(_ZIP, "ZIP archive", _A, ".zip", "application/x-zip-compressed application/x-zip multipart/x-zip"),
    _kind("application/gzip", "gzip archive", _A, ".gz .tgz", "application/x-gzip application/gzip-compressed application/x-compressed-tar"),
    _kind("application/x-bzip2", "bzip2 archive", _A, ".bz2 .tbz2", "application/x-bzip application/bzip2"),
    _kind("application/x-xz", "xz archive", _A, ".xz .txz", "application/xz"),
    _kind("application/zstd", "Zstandard archive", _A, ".zst .tzst", "application/x-zstd"),
    _kind("application/x-7z-compressed", "7z archive", _A, ".7z", "application/7z"),
    _kind("application/vnd.rar", "RAR archive", _A, ".rar", "application/x-rar-compressed application/x-rar application/rar"),
    _kind("application/x-tar", "tar archive", _A, ".tar", "application/tar"),
    _kind("application/vnd.ms-cab-compressed", "cabinet archive", _A, ".cab", "application/x-cab"),
    _kind("application/x-archive", "ar archive", _A, ".deb .ar .a", "application/vnd.debian.binary-package application/x-debian-package"),
    _kind("application/x-rpm", "RPM package", _A, ".rpm", "application/x-redhat-package-manager"),
    # fonts and data
    _kind("font/woff", "WOFF font", _F, ".woff", "application/font-woff application/x-font-woff"),
    _kind("font/woff2", "WOFF2 font", _F, ".woff2", "application/font-woff2"),
    _kind("font/ttf", "TrueType font", _F, ".ttf", "application/x-font-ttf font/sfnt application/font-sfnt", accepts="font/otf"),
    _kind("font/otf", "OpenType font", _F, ".otf", "application/x-font-otf application/x-font-opentype application/vnd.ms-opentype", accepts="font/ttf"),
    _kind("font/collection", "font collection", _F, ".ttc .otc"),
    _kind("application/vnd.sqlite3", "SQLite database", Family.DATA, ".sqlite .sqlite3", "application/x-sqlite3"),
    # text
    _kind("text/plain", "plain text", _T, ".txt .text .log .ini .cfg .conf .properties", accepts=ANY_TEXT),
    _kind("text/csv", "CSV table", _T, ".csv", "application/csv text/x-csv application/x-csv text/comma-separated-values", accepts=ANY_TEXT),
    _kind("text/tab-separated-values", "TSV table", _T, ".tsv .tab", accepts=ANY_TEXT),
    _kind("text/markdown", "Markdown text", _T, ".md .markdown", "text/x-markdown", accepts=ANY_TEXT),
    _kind("application/yaml", "YAML text", _T, ".yml .yaml", "application/x-yaml text/yaml text/x-yaml", accepts=ANY_TEXT),
    _kind("application/toml", "TOML text", _T, ".toml", "text/x-toml", accepts=ANY_TEXT),
    _kind("text/css", "CSS style sheet", _T, ".css", accepts=ANY_TEXT),
    _kind("text/x-c", "C source", _T, ".c .h .cc .cpp .hpp .cxx", "text/x-csrc text/x-chdr text/x-c++ text/x-c++src text/x-c++hdr", accepts=ANY_TEXT),
    _kind("text/x-java", "Java source", _T, ".java", "text/x-java-source", accepts=ANY_TEXT),
    _kind("text/x-go", "Go source", _T, ".go", accepts=ANY_TEXT),
    _kind("text/x-rust", "Rust source", _T, ".rs", "text/rust", accepts=ANY_TEXT),
    _kind("application/sql", "SQL text", _T, ".sql", "text/x-sql application/x-sql", accepts=ANY_TEXT),
    _kind("text/calendar", "calendar", _T, ".ics", accepts=ANY_TEXT),
    _kind("text/vcard", "contact card", _T, ".vcf", "text/x-vcard", accepts=ANY_TEXT),
    _kind("text/vtt", "WebVTT subtitles", _T, ".vtt", accepts=ANY_TEXT),
    _kind("application/x-subrip", "SubRip subtitles", _T, ".srt", accepts=ANY_TEXT),
    _kind("text/x-rst", "reStructuredText", _T, ".rst", "text/prs.fallenstein.rst", accepts=ANY_TEXT),
    _kind("text/x-tex", "TeX source", _T, ".tex", "application/x-tex application/x-latex", accepts=ANY_TEXT),
    _kind("text/x-diff", "patch", _T, ".diff .patch", "text/x-patch", accepts=ANY_TEXT),
    _kind("message/rfc822", "e-mail message", _T, ".eml", accepts=ANY_TEXT),
    _kind("application/x-pem-file", "PEM file", _T, ".pem", accepts=ANY_TEXT),
    _kind("application/vnd.apple.mpegurl", "playlist", _T, ".m3u8 .m3u", "audio/mpegurl audio/x-mpegurl application/x-mpegurl", accepts=ANY_TEXT),
    _kind("application/x-ndjson", "JSON lines", _T, ".jsonl .ndjson", "application/jsonl application/x-jsonlines", accepts=ANY_TEXT),
    _kind(_JSON, "JSON", _T, ".json", "text/json application/x-json", isa="text/plain"),
    _kind("application/geo+json", "GeoJSON", _T, ".geojson", accepts=_JSON, isa=_JSON),
    _kind("application/x-ipynb+json", "Jupyter notebook", _T, ".ipynb", accepts=_JSON, isa=_JSON),
    _kind(_XML, "XML", _T, ".xml .xsd .xsl .xslt .plist", "text/xml"),
    _kind("application/rss+xml", "RSS feed", _T, ".rss", accepts=_XML, isa=_XML),
    _kind("application/atom+xml", "Atom feed", _T, ".atom", accepts=_XML, isa=_XML),
    _kind("application/gpx+xml", "GPX track", _T, ".gpx", accepts=_XML, isa=_XML),
    _kind("application/vnd.google-earth.kml+xml", "KML map", _T, ".kml", accepts=_XML, isa=_XML),
    # markup that a browser runs
    _kind("text/html", "HTML", _H, ".html .htm .shtml", accepts=f"{ANY_TEXT} application/xhtml+xml image/svg+xml"),
    _kind("application/xhtml+xml", "XHTML", _H, ".xhtml .xht", accepts="text/html application/xml", isa="text/html"),
    _kind("text/x-vue", "web component", _H, ".vue .svelte", accepts=f"{ANY_TEXT} text/html"),
    _kind("multipart/related", "web archive", _H, ".mht .mhtml", "application/x-mimearchive", accepts=f"{ANY_TEXT} text/html"),
    _kind("application/x-svgz", "compressed SVG image", _H, ".svgz", accepts="application/gzip"),
    # scripts
    _kind("text/x-python", "Python script", _S, ".py .pyw .pyi", "text/x-script.python application/x-python-code application/x-python", accepts=ANY_TEXT),
    _kind("application/x-sh", "shell script", _S, ".sh .bash .zsh .ksh", "text/x-sh text/x-shellscript application/x-shellscript", accepts=ANY_TEXT),
    _kind("text/x-perl", "Perl script", _S, ".pl .pm", "application/x-perl", accepts=ANY_TEXT),
    _kind("text/x-ruby", "Ruby script", _S, ".rb", "application/x-ruby text/x-script.ruby", accepts=ANY_TEXT),
    _kind("text/javascript", "JavaScript", _S, ".js .mjs .cjs .jsx", "application/javascript application/x-javascript application/ecmascript text/ecmascript text/jsx", accepts=ANY_TEXT),
    _kind("text/x-typescript", "TypeScript", _S, ".ts .tsx .mts .cts", "application/typescript application/x-typescript", accepts=f"{ANY_TEXT} text/javascript"),
    _kind("application/x-httpd-php", "PHP script", _S, ".php .phtml .php3 .php4 .php5 .php7 .php8 .phps .pht .phar", "text/x-php application/x-php text/php application/php", accepts=f"{ANY_TEXT} text/html"),
    _kind("text/x-server-page", "server page", _S, ".asp .aspx .jsp .jspx", accepts=f"{ANY_TEXT} text/html"),
    _kind("text/vbscript", "Visual Basic script", _S, ".vbs .vbe .wsf .wsh .wsc .jse", accepts=ANY_TEXT),
    _kind("application/x-bat", "batch file", _S, ".bat .cmd", "application/bat application/x-msdos-batch", accepts=ANY_TEXT),
    _kind("application/x-powershell", "PowerShell script", _S, ".ps1 .psm1", "text/x-powershell", accepts=ANY_TEXT),
    _kind("application/x-desktop", "desktop entry", _S, ".desktop", accepts=ANY_TEXT),
    _kind("application/internet-shortcut", "Internet shortcut", _S, ".url", "text/x-uri", accepts=ANY_TEXT),
    _kind("application/hta", "HTML application", _S, ".hta", accepts=f"{ANY_TEXT} text/html"),
    _kind("text/x-ms-regedit", "registry script", _S, ".reg .inf", accepts=ANY_TEXT),
    _kind("application/x-mmc", "management console", _S, ".msc", accepts=f"{ANY_TEXT} application/xml"),
    _kind("text/x-script", "script", _S),
    # executables
    _kind("application/vnd.microsoft.portable-executable", "Windows program", _X, ".exe .dll .sys .scr .ocx .cpl .efi .com .pif", "application/x-msdownload application/x-dosexec application/x-msdos-program application/exe"),
    _kind("application/x-elf", "Linux program", _X, ".elf .so .o .ko .appimage", "application/x-executable application/x-sharedlib application/x-pie-executable application/x-object"),
    _kind("application/x-mach-binary", "macOS program", _X, ".dylib .o .so"),
    _kind("application/java-vm", "Java class", _X, ".class", "application/x-java-class application/java application/x-java-vm"),
    _kind("application/java-archive", "Java archive", _X, ".jar .war", "application/x-java-archive application/x-jar", accepts=_ZIP, isa=_ZIP),
    _kind("application/vnd.android.package-archive", "Android package", _X, ".apk", accepts=f"{_ZIP} application/java-archive", isa=_ZIP),
    _kind("application/vnd.android.dex", "Android program", _X, ".dex"),
    _kind("application/wasm", "WebAssembly module", _X, ".wasm"),
    _kind("application/x-ms-shortcut", "Windows shortcut", _X, ".lnk"),
    _kind("application/x-msi", "Windows installer", _X, ".msi", accepts=_OLE, isa=_OLE),
    _kind("application/vnd.adobe.flash.movie", "Flash movie", _X, ".swf", "application/x-shockwave-flash"),
    _kind("application/vnd.ms-htmlhelp", "Windows help file", _X, ".chm", "application/x-chm"),
)
# fmt: on

# What some senders call a type that is really another one: Windows with Excel
# installed labels .csv as an Excel workbook.
_ALSO_CLAIMED_FOR: Final = {"application/vnd.ms-excel": "text/csv"}

# These, and no claim at all, claim nothing (RFC 9110 section 8.3: a sender that does not know).
CLAIMS_NOTHING: Final = frozenset({"", UNKNOWN_TYPE, "binary/octet-stream"})

_BY_TYPE: Final[dict[str, Kind]] = {kind.type: kind for kind in KINDS}
_BY_ALIAS: Final[dict[str, Kind]] = {alias: kind for kind in KINDS for alias in kind.aliases}


def _by_extension() -> dict[str, tuple[Kind, ...]]:
    table: dict[str, tuple[Kind, ...]] = {}
    for kind in KINDS:
        for extension in kind.extensions:
            table[extension] = (*table.get(extension, ()), kind)
    # TypeScript is far more common among uploads than MPEG transport streams,
    # Ogg audio than Ogg video: the first one names the extension.
    for extension in (".ts", ".mts", ".ogg"):
        table[extension] = tuple(reversed(table[extension]))
    return table


_BY_EXTENSION: Final = _by_extension()

# A claimed type that is not in the table still says its family, and what may be found.
_FAMILY_CLAIMS: Final[dict[str, tuple[Family, frozenset[str]]]] = {
    "image": (Family.IMAGE, frozenset({"image/*", UNKNOWN_TYPE})),
    "audio": (Family.MEDIA, frozenset({"audio/*", "video/*", UNKNOWN_TYPE})),
    "video": (Family.MEDIA, frozenset({"audio/*", "video/*", UNKNOWN_TYPE})),
    "font": (Family.FONT, frozenset({"font/*", UNKNOWN_TYPE})),
    "text": (Family.TEXT, frozenset({ANY_TEXT})),
}


def kind_of_type(media_type: str) -> Kind | None:
    """Return the kind of a media type or one of its aliases; None when it is not known."""
    return _BY_TYPE.get(media_type) or _BY_ALIAS.get(media_type)


def kinds_of_extension(extension: str) -> tuple[Kind, ...]:
    """Return what an extension (".jpg") may mean; the first is the usual meaning."""
    return _BY_EXTENSION.get(extension, ())


def kinds_of_claim(media_type: str) -> tuple[Kind, ...]:
    """Return what a claimed media type (lower case, no parameters) may mean; empty: it claims nothing."""
    if media_type in CLAIMS_NOTHING:
        return ()
    kind = kind_of_type(media_type)
    if kind is not None:
        other = _ALSO_CLAIMED_FOR.get(media_type)
        return (kind,) if other is None else (kind, _BY_TYPE[other])
    top = media_type.partition("/")[0]
    if top in _FAMILY_CLAIMS:
        family, accepts = _FAMILY_CLAIMS[top]
        return (Kind(media_type, media_type, family, accepts=accepts),)
    # RFC 6839: the suffix tells the syntax.
    for suffix, base in (("+json", _JSON), ("+xml", _XML)):
        if media_type.endswith(suffix):
            return (Kind(media_type, media_type, _T, accepts=frozenset({base})),)
    return ()


def type_of_extension(extension: str) -> str | None:
    """Return the media type that an extension (".jpg" or "jpg", any case) means, or None."""
    kinds = kinds_of_extension(f".{extension.lower().removeprefix('.')}")
    return kinds[0].type if kinds else None


def extension_of_type(media_type: str) -> str:
    """Return the usual extension (".jpg") of a media type or alias, or "" when there is none."""
    kind = kind_of_type(media_type.partition(";")[0].strip().lower())
    return kind.extensions[0] if kind and kind.extensions else ""


def describe_type(media_type: str) -> str:
    """Return what people call a media type: "JPEG image"; the type itself when it is not known."""
    if media_type == UNKNOWN_TYPE:
        return "unknown data"
    kind = kind_of_type(media_type)
    return kind.label if kind else media_type
