"""Do what ``msseg new`` does."""

from msseg.commands.new_config import main
from msseg.utils.cli import run_main

if __name__ == '__main__':
    run_main(main)
