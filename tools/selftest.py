"""Do what ``msseg selftest`` does."""

from msseg.commands.selftest import main
from msseg.utils.cli import run_main

if __name__ == '__main__':
    run_main(main)
