"""What can go wrong, as one small tree.

    PoetgenError            a message of one line and, often, a hint
    ├── CorpusError         a corpus cannot be found, fetched or read
    ├── VocabularyError     a vocabulary does not fit its file or its model
    ├── CheckpointError     a trained model cannot be found, loaded or saved
    ├── TemplateError       a request for a poem that no poem can fulfil
    └── TrainingError       training cannot start or go on

Libraries raise these; one place (`poetgen.cli.main`) turns them into a red line on stderr and
exit status 1. A bug stays an ordinary exception with its traceback.
"""


class PoetgenError(Exception):
    """Something a user can cause and mend.

    Args:
        message: One line: what was wrong and where (file, line, field, flag, character).
        hint: One line: what to do about it; empty when the message says it all.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class CorpusError(PoetgenError):
    """A corpus cannot be found, fetched or read."""


class VocabularyError(PoetgenError):
    """A vocabulary does not fit its file or its model."""


class CheckpointError(PoetgenError):
    """A trained model cannot be found, loaded or saved."""


class TemplateError(PoetgenError):
    """A request for a poem that no poem can fulfil."""


class TrainingError(PoetgenError):
    """Training cannot start or go on."""
