"""`python -m nmt`: the same as the `nmt` command."""

from nmt.main import main

if __name__ == "__main__":
    main()
