"""`python -m poetgen`: the same as the `poetgen` command."""

from poetgen.cli.main import main

if __name__ == "__main__":
    main()
