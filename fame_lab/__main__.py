"""``python -m fame_lab`` is ``fame-lab``."""

import sys

from fame_lab.cli.main import main

sys.exit(main())
