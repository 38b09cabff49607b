"""The model: nn.Modules that know tensors only. No files, no class names, no words.

Reading order: `config`, `vision` and `text` (the two frozen CLIP towers), `prompts` (what the text tower reads),
`context`, `interaction`, `adapter` (what is trained), `filo` (the composition).
"""
