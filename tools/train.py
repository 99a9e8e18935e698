"""Do what ``msseg train`` does."""

from msseg.commands.train import main
from msseg.utils.cli import run_main

if __name__ == '__main__':
    run_main(main)
