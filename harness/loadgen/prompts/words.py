"""Text of a given length: common English words, nearly all of which are one token with the blank before them.

So without a tokenizer a word counts as a token (approximate). `tokenizer.py` selects the words for which it is exact.
"""

from hashlib import blake2b
from random import Random
from typing import Final

_TEXT: Final = (
    "about above across action after again against air all almost along already also always among animal answer any "
    "area around art ask away back bad base be because become bed been before began behind believe best better "
    "between big bird black blue board body book both box boy bring brother brown build building business but buy by "
    "call came can car care carry case catch center certain chance change child children church city class clear "
    "close cold color come common company complete control cost could country course cover cross cut dark data day "
    "dead deal death decide deep design did different direct do doctor dog done door down draw dream drive drop dry "
    "during each early earth east easy eat effect end energy enough even evening event ever every example experience "
    "eye face fact fall family far farm fast father feel feet few field fight figure fill final find fine fire first "
    "fish five floor flow fly follow food foot for force form found four free friend from front full game garden gave "
    "general get girl give glass go gold good government great green ground group grow guess had hair half hand "
    "happen happy hard has have he head hear heart heat heavy help her here high hill him his history hold home horse "
    "hot hotel hour house how human hundred idea if image in inside interest into island it job join just keep kept "
    "key kind king knew know land language large last late later laugh law lead learn least leave left leg less let "
    "letter level life light like line list listen little live local long look lost love low machine made main major "
    "make man many map mark market matter may me mean measure meet men method middle might mile milk mind minute miss "
    "model modern moment money month moon more morning most mother mountain move much music must my name nation "
    "natural nature near need never new next night no north not note nothing now number object of off offer office "
    "often oil old on once one only open or order other our out outside over own page paper part party pass past path "
    "pay peace people person picture piece place plan plane plant play point police poor position possible power "
    "present press price problem process product public pull put question quick quiet race rain ran reach read ready "
    "real reason record red remember rest result rich ride right river road rock room rule run said same saw say "
    "school science sea season seat second see seem sell send sense serve set seven several shape she ship short "
    "should show side sign simple since sing single sister sit six size skin sky sleep slow small snow so social some "
    "son song soon sort sound south space speak special speed spend spring square stand star start state station stay "
    "step still stone stood stop store story street strong student study such summer sun sure surface system table "
    "take talk teach team tell ten test than that the their them then there these they thing think third this those "
    "thought thousand three through time to today together told too took top total touch toward town trade train "
    "travel tree tried true try turn two type under unit until up us use value very view voice wait walk wall want "
    "war warm was watch water way we weather week weight well went were west what wheel when where which while white "
    "who whole why wide wife will wind window winter wish with without woman women wonder wood word work world would "
    "write year yes yet you young your "
)
WORDS: Final = tuple(_TEXT.split())

_HEAD: Final = 64
"""The first 64 words are drawn one by one: no two texts share them, so no prefix cache can serve both."""

_BLOCK_HEAD: Final = 12
"""Words of a block that its id decides: of 600 words, 12 tell 10^33 blocks apart."""

_BODY: Final = 1 << 14
_BODY_SEED: Final = "streamgauge text"


class Writer:
    """Writes texts of `words`. The same random generator gives the same texts on every machine.

    After its first words, a text is a piece of one fixed body. Drawing 100,000 words one by one would take a client
    20 ms, which the other streams would show as lag.
    """

    def __init__(self, words: tuple[str, ...] = WORDS) -> None:
        self.words = words
        self._body = _drawn(words, _BODY, Random(_BODY_SEED))

    def write(self, tokens: int, rng: Random) -> str:
        """A text of `tokens` words."""
        head = _drawn(self.words, min(tokens, _HEAD), rng)
        rest = tokens - len(head)
        if not rest:
            return " ".join(head)
        start = int(rng.random() * _BODY)
        body = self._body[start : start + rest]
        while len(body) < rest:
            body += self._body[: rest - len(body)]
        return " ".join([*head, *body])

    def block(self, identity: str, tokens: int) -> str:
        """The text of `tokens` words that belongs to this identity; a shorter one is its beginning.

        A prompt of an agent has 1,000 blocks, so no generator is made for each: that took 10 times as long.
        """
        digest = blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=2 * _BLOCK_HEAD + 4).digest()
        numbers = [digest[at] << 8 | digest[at + 1] for at in range(0, 2 * _BLOCK_HEAD, 2)]
        head = [self.words[number % len(self.words)] for number in numbers[:tokens]]
        start = int.from_bytes(digest[-4:]) % _BODY
        body = self._body[start : start + tokens - len(head)]
        while len(body) < tokens - len(head):
            body += self._body[: tokens - len(head) - len(body)]
        return " ".join([*head, *body])


def _drawn(words: tuple[str, ...], count: int, rng: Random) -> list[str]:
    size = len(words)
    return [words[int(rng.random() * size)] for _ in range(count)]
