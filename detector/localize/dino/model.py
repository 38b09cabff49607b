"""Grounding DINO from groundingdino-py, built without downloads and working with current transformers.

The package asks `transformers` for pretrained BERT weights, which every Grounding DINO checkpoint contains anyway, and
calls methods that `BertModel` no longer has (IDEA-Research/GroundingDINO issue 446). Both are replaced while the model
is built, and only then.
"""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from detector.localize.errors import VocabularyError

_BUILDING = threading.Lock()


class GroundingDinoConfig(BaseModel):
    """Sizes of the model; the defaults are Swin-T, `groundingdino_swint_ogc.pth`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    embed_dim: int = 96
    """Width of the first Swin stage."""
    depths: tuple[int, ...] = (2, 2, 6, 2)
    """Blocks per Swin stage."""
    num_heads: tuple[int, ...] = (3, 6, 12, 24)
    """Attention heads per Swin stage."""
    window_size: int = 7
    """Swin window in tokens."""
    enc_layers: int = 6
    """Encoder layers."""
    dec_layers: int = 6
    """Decoder layers."""
    dim_feedforward: int = 2048
    """Hidden width of the transformer's MLPs."""
    num_queries: int = 900
    """Boxes proposed per image."""
    nheads: int = 8
    """Heads of the transformer; its width is 256 by construction."""

    @classmethod
    def swin_b(cls) -> "GroundingDinoConfig":
        """`groundingdino_swinb_cogcoor.pth`."""
        return cls(embed_dim=128, depths=(2, 2, 18, 2), num_heads=(4, 8, 16, 32), window_size=12)


class TextParts(NamedTuple):
    """Tokenizer and architecture of the text encoder; the weights come from the checkpoint."""

    tokenizer: Any
    config: Any


class BertEncoder(nn.Module):
    """BERT with a 3-D attention mask, under the state-dict names of the original wrapper."""

    def __init__(self, bert_model: Any) -> None:
        super().__init__()
        self.config = bert_model.config
        self.embeddings: Any = bert_model.embeddings
        self.encoder: Any = bert_model.encoder
        self.pooler = bert_model.pooler

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor, token_type_ids: Tensor | None = None
    ) -> dict[str, Tensor]:
        """`last_hidden_state` [batch, tokens, width]; the mask [batch, tokens, tokens] says which tokens are seen."""
        hidden = self.embeddings(input_ids=input_ids, position_ids=position_ids, token_type_ids=token_type_ids)
        blocked = (1.0 - attention_mask[:, None].to(hidden.dtype)) * torch.finfo(hidden.dtype).min
        return {"last_hidden_state": self.encoder(hidden, attention_mask=blocked)[0]}


def load_text_parts(source: str | Path) -> TextParts:
    """Tokenizer and BERT sizes from a local folder (`vocab.txt`, optional `config.json`) or a hub name.

    Raises:
        VocabularyError: neither a folder with `vocab.txt` nor a name the hub gives an answer for.
    """
    from transformers import AutoTokenizer, BertConfig, BertTokenizer

    folder = Path(source)
    if folder.is_dir() and not (folder / "vocab.txt").is_file():
        raise _no_vocabulary(source, "vocab.txt is missing")
    try:
        if folder.is_dir():
            config = BertConfig.from_pretrained(str(folder)) if (folder / "config.json").is_file() else BertConfig()
            return TextParts(BertTokenizer(str(folder / "vocab.txt"), do_lower_case=True), config)
        return TextParts(AutoTokenizer.from_pretrained(str(source)), BertConfig.from_pretrained(str(source)))
    except (OSError, ValueError) as error:
        raise _no_vocabulary(source, (str(error).strip().splitlines() or ["no reason given"])[0]) from error


def _no_vocabulary(source: str | Path, reason: str) -> VocabularyError:
    return VocabularyError(
        f"text encoder {str(source)!r}: {reason}",
        expected="a folder with BERT's vocab.txt, or a hub name and a connection",
        hint="type --dino-text FOLDER",
    )


def create_grounding_dino(config: GroundingDinoConfig, text: TextParts) -> nn.Module:
    """The model with random weights, in evaluation mode; offline."""
    from transformers import BertModel

    package = _package()
    with _BUILDING, quiet(), _patched(package, BertEncoder, text.tokenizer, lambda: BertModel(text.config)):
        model: nn.Module = package.GroundingDINO(
            _backbone(config),
            package.build_transformer(_transformer_arguments(config)),
            num_queries=config.num_queries,
            iter_update=True,
            query_dim=4,
            num_feature_levels=4,
            nheads=config.nheads,
            two_stage_type="standard",
            two_stage_bbox_embed_share=False,
            two_stage_class_embed_share=False,
            dn_number=0,
        )
    return model.eval()


@contextmanager
def quiet() -> Iterator[None]:
    """Hides the warnings of a package that was written for older libraries; its outputs are checked by tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _package() -> ModuleType:
    with quiet():
        from groundingdino.models.GroundingDINO import groundingdino
    module: ModuleType = groundingdino
    return module


@contextmanager
def _patched(package: ModuleType, wrapper: type[nn.Module], tokenizer: Any, bert: Any) -> Iterator[None]:
    original = package.BertModelWarper, package.get_tokenlizer
    source = SimpleNamespace(get_tokenlizer=lambda _: tokenizer, get_pretrained_language_model=lambda _: bert())
    package.BertModelWarper, package.get_tokenlizer = wrapper, source  # type: ignore[attr-defined]
    try:
        yield
    finally:
        package.BertModelWarper, package.get_tokenlizer = original  # type: ignore[attr-defined]


def _backbone(config: GroundingDinoConfig) -> nn.Module:
    from groundingdino.models.GroundingDINO.backbone.backbone import Joiner
    from groundingdino.models.GroundingDINO.backbone.position_encoding import PositionEmbeddingSineHW
    from groundingdino.models.GroundingDINO.backbone.swin_transformer import SwinTransformer

    swin = SwinTransformer(
        pretrain_img_size=224,
        embed_dim=config.embed_dim,
        depths=list(config.depths),
        num_heads=list(config.num_heads),
        window_size=config.window_size,
        out_indices=(1, 2, 3),
        dilation=False,
        use_checkpoint=False,
    )
    position = PositionEmbeddingSineHW(128, temperatureH=20, temperatureW=20, normalize=True)
    joined: nn.Module = Joiner(swin, position)
    joined.num_channels = swin.num_features[1:]
    return joined


def _transformer_arguments(config: GroundingDinoConfig) -> SimpleNamespace:
    return SimpleNamespace(
        hidden_dim=256, dropout=0.0, nheads=config.nheads, num_queries=config.num_queries,
        dim_feedforward=config.dim_feedforward, enc_layers=config.enc_layers, dec_layers=config.dec_layers,
        pre_norm=False, query_dim=4, transformer_activation="relu", num_patterns=0, num_feature_levels=4,
        enc_n_points=4, dec_n_points=4, two_stage_type="standard", embed_init_tgt=True,
        use_text_enhancer=True, use_fusion_layer=True, use_checkpoint=False, use_transformer_ckpt=False,
        use_text_cross_attention=True, text_dropout=0.0, fusion_dropout=0.0, fusion_droppath=0.1,
    )  # fmt: skip
