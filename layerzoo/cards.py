"""The cards of layerzoo's own layers, family by family."""

from layerzoo.card import cards_in
from layerzoo.catalogue import families

CARDS = [card for family in families() for card in cards_in(f"layerzoo.{family}.cards")]
