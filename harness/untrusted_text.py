"""What must not go out as it came in: characters by which foreign text does something to whoever shows it."""

import re
from typing import Final

# C0 and C1 controls but for tab and newline; marks, embeddings, overrides and isolates of direction, which make text
# read as what it is not; separators that tear lines; what is invisible altogether (tags carry hidden words); surrogates
# and non-characters, which no UTF-8 and no XML may hold. The two joiners stay: words and emoji are made with them.
UNSAFE_CHARACTERS: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e0fff]"
)
