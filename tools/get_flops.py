"""Do what ``msseg flops`` does."""

from msseg.commands.get_flops import main
from msseg.utils.cli import run_main

if __name__ == '__main__':
    run_main(main)
