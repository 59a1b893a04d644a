"""Small experiments that show whether a layer does what its paper says.

A layer's experiment is a declaration beside it, `evidence/<layer>.py`. It trains the layer and what it is
compared with, on data that a package ships or that is made on the spot.
"""

from layerzoo.cookbook.evidence.declared import Evidence, all_evidence, demanded, evidence_of
from layerzoo.cookbook.evidence.plot import plot, standalone
from layerzoo.cookbook.evidence.running import reproduce, reproduced, verdict

__all__ = [
    "Evidence",
    "all_evidence",
    "demanded",
    "evidence_of",
    "plot",
    "reproduce",
    "reproduced",
    "standalone",
    "verdict",
]
