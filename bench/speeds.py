"""The figures from which `lipsync plan` starts on a machine that has made nothing yet: runs of the portrait model on stills and clips of many
sizes, each in a process of its own, and a short calculation that other machines repeat. Run it on two quiet cores:

    python bench/speeds.py        # writes lipsync_kit/data/speeds.jsonl
"""
import os, subprocess, sys, tempfile
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parent.parent
MEDIA = Path(os.environ.get('LIPSYNC_MEDIA', ROOT.parent/'shared'/'media'))
STILLS = 'photo_woman_256.png photo_woman_624.jpg photo_large_2840.png group_six.jpg painting_pearl.jpg'.split()
CLIPS = 'grid_bbaf2n.mpg hdtf_aoc.mp4 ted_small_face.mp4 news_cnn_anchor.mp4 portrait_kitchen_man.mp4 debate_two_faces.mp4'.split()
ONE = '''
import sys
from lipsync_kit.core import Audio
from lipsync_kit.media.read import read_audio
from lipsync_kit.pipe.run import lipsync
face, speech, seconds, text = sys.argv[1:5]
audio = None if text or not speech else read_audio(speech).cut(0, float(seconds))
for n in range(2): lipsync(face, audio, text=text or None)
'''

def main():
    sys.path.insert(0, str(ROOT))
    from lipsync_kit.pipe.speeds import Measured, _line, probe, read_speeds
    speech = MEDIA/'speech'/'hdtf_radio31_en.wav'
    jobs = [(MEDIA/'portraits'/n, speech, s, '') for s, n in zip((3, 6, 2, 4, 5), STILLS)]
    jobs += [(MEDIA/'portraits'/STILLS[1], '', 0, 'Some words are spoken by the voice, so that its time is known as well.')]
    jobs += [(MEDIA/'clips'/n, '', 0, '') for n in CLIPS]
    with tempfile.TemporaryDirectory() as d:
        kept = Path(d)/'speeds.jsonl'
        os.environ.update(LIPSYNC_KIT_SPEEDS=str(kept), PYTHONPATH=str(ROOT))
        for job in jobs:
            print(Path(job[0]).name, flush=True)
            subprocess.run([sys.executable, '-c', ONE, *map(str, job)], check=True, stderr=subprocess.DEVNULL)
        runs = read_speeds(kept)
    everything = [Measured('probe', cpu=probe(50)), *runs]
    lines = [_line(replace(m, machine='reference')) for m in everything]
    (ROOT/'lipsync_kit'/'data'/'speeds.jsonl').write_text('\n'.join(lines) + '\n')
    print(f'{len(runs)} runs')

if __name__ == '__main__': main()
