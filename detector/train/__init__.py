"""Training FiLo in two stages, and getting back exactly what one expects after a crash.

Reading order: `config` (what a run is), `order` and `augment` (which picture, how changed, at which step: pure
functions of the seed), `stages` (what is trained and against which loss), `engine` (the loop), `state` (what survives
a kill), `session` (people: folders, descriptions, the zero-shot protocol).
"""
