"""audiomon listens through a microphone and says what it hears.

Each package imports only from those above it in this list:

    audio, features, config   samples; what a log-mel frame is; what the YAML may say
    models                    a model package on disk and the interpreter that runs it
    pipeline                  windows -> predictions -> events
    outputs                   where predictions and events go
    service, lab              the supervised daemon; making and judging models
    cli                       one file per command
"""

__version__ = "0.1.0"
