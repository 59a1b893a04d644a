"""`python -m layerzoo` is `layerzoo`."""

import sys

from layerzoo_entry.cli import main

if __name__ == "__main__":
    sys.exit(main())
