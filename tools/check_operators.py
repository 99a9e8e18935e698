"""Do what ``msseg check-operators`` does."""

from msseg.commands.check_operators import main
from msseg.utils.cli import run_main

if __name__ == '__main__':
    run_main(main)
