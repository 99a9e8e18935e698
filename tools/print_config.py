"""Do what ``msseg print-config`` does."""

from msseg.commands.print_config import main
from msseg.utils.cli import run_main

if __name__ == '__main__':
    run_main(main)
