"""Do what ``msseg check-config`` does."""

from msseg.commands.check_config import main
from msseg.utils.cli import run_main

if __name__ == '__main__':
    run_main(main)
