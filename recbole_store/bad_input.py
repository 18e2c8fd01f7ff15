"""The errors that mean "the input is wrong": one sentence and exit status 2, no traceback."""

from recbole_store.backbone_files import BackboneError
from recbole_store.property_files import SettingsError
from recbole_store.tokenizer.item_text import ItemTextError
from recbole_store.tokenizer.quantizer import NoCodesError
from recbole_store.tokenizer.semantic_ids import DisambiguationOverflow

BAD_INPUT = (SettingsError, ItemTextError, BackboneError, DisambiguationOverflow, NoCodesError)
