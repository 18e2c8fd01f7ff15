"""TEXT -> CODES: item texts, dense tokens, quantizers, the table of semantic IDs."""
