"""Turn a file into a C array: embed.py FILE HEADER NAME."""

import sys
from pathlib import Path

source, header, name = sys.argv[1:]
data = Path(source).read_bytes()
lines = [data[at : at + 16] for at in range(0, len(data), 16)]
body = "\n".join("    " + " ".join(f"0x{byte:02x}," for byte in line) for line in lines)
Path(header).write_text(
    f"/* Made from {Path(source).name}. */\n"
    f"static const unsigned char {name}[] __attribute__((aligned(8))) = {{\n{body}\n}};\n"
)
