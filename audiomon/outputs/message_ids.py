"""The MESSAGE_ID of each kind of journal entry.

Published: filters and catalogs are keyed by them. ``deploy/systemd/audiomon.catalog`` explains each to people.
"""

MESSAGE_IDS = {
    "prediction": "f5a41f9dad494766a0045b713864076b",
    "event-on": "8212f84d57314ff5baabb6f00d4597ea",
    "event-off": "54ad5b807b494f089983a9b74a984abd",
    "listening": "14172f91e903468398ab1b55a21ba5bf",
    "device-absent": "1610aa63494a49c8b0f3e26ae37c1127",
    "device-lost": "f965f7b32293448e86c751e0cb59cbd7",
    "device-other": "18e29de1004841469f86f15c95a74101",
    "device-back": "0627d4f34b1944cc904df09c74fd1b90",
    "sound-doubtful": "e5a9300a46d24248acd66bc98e4d850a",
    "sound-plausible": "24436033365c49d7afee19033ca1ff43",
    "audio-lost": "ffafeefdfe3c4e448db023558bb477f3",
    "undelivered": "4f1fc1cf59d64e8d838a618674c6cbd4",
    "too-slow": "364c6f855dc84f6d82b9acb30eb92372",
    "keeps-up": "131e2e4cf6db4cd4a83339b392ebf858",
    "files-exposed": "5d9035f61a3042c79b245ccbd7609224",
    "summary": "32a56a28bcf34f55a062370ab2c1f7d7",
    "model-swapped": "4da4f4a307ea4c1ba22523a6ff8f52e2",
    "config-applied": "ae93806d9c744f58a4c33fe347bd17a7",
    "model-reverted": "1ad47fa221684966a672642bcdaf8e3b",
    "swap-refused": "989353ad3a3641a8acb7c6a069ab4b3e",
    "stage-failed": "a98e93ff04d142aaa79987b0a6bd97dd",
    "output-failed": "0eb5bba4e5d14d7dac4ba429a1a61dc5",
    "output-lost": "393b368aeafa4e668e8f8c79f9c3e958",
    "unwritable": "4ab22ca75a50424581bb10638ce10dbd",
    "writable": "0ec060b496d64697868ef066a7a04487",
    "journal-lost": "ab6ebabd7a9d44a18913f0d99edf488f",
    "waiting": "db58ad4082ee4abe8c928b5b2801ac0f",
    "failed": "426cf61e007e4dbd8e720393fedd7912",
    "stopped": "ab2f947a7dda4dc99f97f0f696bb47f9",
}
