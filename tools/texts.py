"""What the voices of the bundled model say: its wake words, and what is not one of them."""

from pathlib import Path

from edgernn.synth.phonemes import edits

WORDS = ("computer", "alexa")
PHONEMES = {"computer": ["K", "AH", "M", "P", "Y", "UW", "T", "ER"],
            "alexa": ["AH", "L", "EH", "K", "S", "AH"]}
"""As CMUdict writes them, without stress."""

# Near homophones ("come pewter", "a Lexer") are left out:
# to reject them the model would have to give up accents of the words themselves.
CARRIERS = (
    "please ask the {} to play some jazz", "{} what time is it", "hey {} turn on the light",
    "i told {} about the weather", "my {} is too slow", "the {} in the kitchen is broken",
    "good morning {}", "{} set a timer for ten minutes", "is the {} still running",
    "she said {} three times", "okay {} stop", "can you hear me {}",
    "a new {} costs a lot of money", "{} play the news", "no {} not that one", "thank you {}",
)
SENTENCES = (
    "please ask the neighbour to play some jazz", "what time is it",
    "hey there turn on the light", "i told him about the weather", "my old car is too slow",
    "the radio in the kitchen is broken", "good morning everyone",
    "set a timer for ten minutes", "is the engine still running", "okay stop it now",
    "can you hear me over there", "a new table costs a lot of money", "play the news please",
    "no not that one", "thank you very much", "turn the volume down a little",
    "where did you put the keys", "the committee will compare the two companies",
    "he has to commute to the election office", "complete the letter and compose another",
    "electric lights were allowed at the lake", "the next lecture is about texas and alaska",
    "commuters collect at the station", "a tutor and a recruiter met the suitor",
    "some people come to the pewter shop", "we confused her with the computing department",
    "the competition was about composing music",
)
CONFUSABLE = (
    "commuter", "commute", "compute", "computing", "computation", "computed", "compact",
    "companion", "competitor", "compare", "company", "complete", "commuted", "compost",
    "composer", "consumer", "tutor", "looter", "neuter", "scooter",
    "recruiter", "polluter", "shooter", "router", "the future", "peter", "jupiter",
    "confuse her", "come to her", "suitor", "communicate", "alex", "alexis", "alexander",
    "election", "electra", "lexus", "elixir", "a lecture", "a lesson", "texas", "alaska",
    "erica", "electric", "elect her", "elects him", "a lexicon", "lexical", "alyssa", "elsa",
    "allergic", "a leg", "the next one", "felix", "flexes", "election day", "electronic",
    "a letter", "a lecturer", "all exits", "alexandria", "i like the", "i'll ask her",
    "let's see", "lexie", "dialects", "reflex", "complexes",
)


ALIKE = (
    "commuter", "computation", "computing", "compare", "company", "complete", "the future",
    "jupiter", "elixir", "a lecture", "a letter", "lexus", "texas", "alex", "alaska", "electric",
    "electronic",
)
"""What the card tells of, whether it fires the model."""


def vocabulary(data: Path) -> dict[str, list[str]]:
    """Words of CMUdict that neither are nor end like a wake word, with their phonemes."""
    with open(data / "text_cmudict" / "dev.tsv", encoding="utf-8") as file:
        words = dict(line.rstrip("\n").split("\t") for line in file)
    return {word: [phoneme.rstrip("012") for phoneme in phonemes.split()]
            for word, phonemes in words.items()
            if len(word) > 2 and not word.startswith(("comput", "alex"))
            and not word.endswith(("puter", "lexa", "lexer"))}


def neighbours(known: dict[str, list[str]], word: str, count: int) -> list[str]:
    """Words that sound most like a wake word, but differ in two phonemes at least."""
    ranked = sorted((edits(phonemes, PHONEMES[word]), name) for name, phonemes in known.items())
    return [name for distance, name in ranked if distance >= 2][:count]
