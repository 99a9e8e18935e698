"""Do what ``msseg dist`` does."""

from msseg.commands.dist_run import main
from msseg.utils.cli import run_main

if __name__ == '__main__':
    run_main(main)
