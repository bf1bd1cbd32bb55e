"""`python -m screening`: the command line, also where the script `screening` is of another installation."""

from screening.cli import main

if __name__ == "__main__":
    main()
