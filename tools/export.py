"""Do what ``msseg export`` does."""

from msseg.commands.export import main
from msseg.utils.cli import run_main

if __name__ == '__main__':
    run_main(main)
