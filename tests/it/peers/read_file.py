"""Reads a file of readings with a reader that others wrote, and prints what it found as JSON.

usage: read_file.py nemreader|mdff|greenbutton FILE
"""
import json
import sys
import warnings

warnings.filterwarnings("ignore")
reader, path = sys.argv[1:]
rows = []
try:
    if reader == "nemreader":
        from nemreader import NEMFile

        for nmi, channels in NEMFile(path, strict=True).nem_data().readings.items():
            for suffix, readings in channels.items():
                for r in readings:
                    rows.append([nmi, suffix, r.t_end.isoformat(), r.read_value, r.quality_method[:1]])
    elif reader == "mdff":
        import aemo_mdff_reader

        faults = aemo_mdff_reader.validate_file(path)
        if faults:
            raise ValueError(str(faults[0]))
        for r in aemo_mdff_reader.parse(path):
            rows.append([r.nmi, r.nmi_suffix, r.interval_end.isoformat(), r.value, r.quality_method[:1]])
    else:
        from greenbutton_objects import parse

        for point in parse.parse_feed(path):
            for reading in point.meterReadings:
                for block in reading.intervalBlocks:
                    for r in block.intervalReadings:
                        rows.append([int(r.timePeriod.start.timestamp()), r.value])
    print(json.dumps({"rows": rows}))
except Exception as error:  # what it refuses is an answer, too
    print(json.dumps({"refused": f"{type(error).__name__}: {error}"}))
