"""The cards of every layer of ours, family by family."""

from layerzoo.card import cards_in
from layerzoo.catalogue import families

CARDS = [card for family in families() for card in cards_in(f"layerzoo.{family}.cards")]
