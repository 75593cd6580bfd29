"""Which instruction sets' bfloat16 has bits of its own: those with an instruction that multiplies and adds in its own
order. The bits of all others are the same."""

OF_THEIR_OWN = ("amx_bf16", "avx512_bf16")
MATRIX_UNITS = ("amx_bf16",)
"""Those of them that attention, too, multiplies bfloat16 with; on others it widens them."""


def rounding_of(isa):
    """Instruction sets whose bfloat16 gives the same bits have the same."""
    return isa if isa in OF_THEIR_OWN else "generic"


def of_each_rounding(isas):
    """One instruction set of each kind."""
    return [isa for isa in isas if isa in (*OF_THEIR_OWN, "generic")]
