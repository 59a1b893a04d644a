"""Every layer of the catalogue keeps every property of the kit that applies to it."""

from layerzoo import catalogue
from layerzoo.testing import parametrize_with_checks


@parametrize_with_checks(catalogue().values())
def test_contract(check):
    check()
