"""python -m extproc"""

from extproc.cli.main import main

main()
