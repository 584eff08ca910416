"""audiomon listens through a microphone and says what it hears.

Each package imports only from those above it in this list:

    audio, features, config   samples; what a model reads; what the YAML may say
    models                    a model package on disk and the interpreter that runs it
    pipeline                  windows -> predictions -> events
    outputs                   where predictions and events go
    daemon, diagnostics, lab  the supervised daemon; what is wrong and what was heard; making and judging models
    sources                   sound from the network, for a listener that has none
    link                      what is heard, told to the network by a process that has no microphone
    cli                       one file per command
"""

__version__ = "0.1.0"
