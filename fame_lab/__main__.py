"""``python -m fame_lab`` is ``fame-lab``."""

import sys

from fame_lab.cli import main

sys.exit(main())
