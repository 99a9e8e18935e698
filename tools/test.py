"""Do what ``msseg test`` does."""

from msseg.commands.test import main
from msseg.utils.cli import run_main

if __name__ == '__main__':
    run_main(main)
