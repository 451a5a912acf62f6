"""poetgen writes Chinese acrostic poems (藏头诗) with a recurrent network.

from poetgen import Poet

for poem in Poet.load().acrostic("春夏秋冬", form="七绝"):
    print(poem.text)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from poetgen.verse.poem import Poem
    from poetgen.writing.poet import Poet

__version__ = "0.1.0"
__all__ = ["Poem", "Poet", "__version__"]


def __getattr__(name: str) -> Any:
    # Looked up only when asked for: `import poetgen` must not cost NumPy's import time.
    if name == "Poet":
        from poetgen.writing.poet import Poet

        return Poet
    if name == "Poem":
        from poetgen.verse.poem import Poem

        return Poem
    raise AttributeError(f"module 'poetgen' has no attribute {name!r}")
