"""The figures from which `lipsync plan` starts on a machine that has made nothing yet: runs of the portrait model on stills and clips of many
sizes, each in a process of its own, and a short calculation that other machines repeat. Run it on two quiet cores, with the weights of
Spleeter's two stems there (what takes music out of the sound takes memory too):

    python bench/speeds.py                      # writes lipsync_kit/data/speeds.jsonl
    python bench/speeds.py --keep runs.jsonl    # a run that was stopped goes on from the jobs in that file

Seconds are of processor time; what other programs took meanwhile is on each line (`others`).
"""
import argparse, os, subprocess, sys, tempfile
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
face, speech, seconds, text, clean = sys.argv[1:6]
audio = None if text or not speech else read_audio(speech).cut(0, float(seconds))
for n in range(2): lipsync(face, audio, text=text or None, clean=clean)
'''

def jobs():
    "Face, speech ('' for that of the video), seconds of it, text, what is taken out of the sound"
    speech = MEDIA/'speech'/'hdtf_radio31_en.wav'
    stills = [(MEDIA/'portraits'/n, speech, s, '') for s, n in zip((3, 6, 2, 4, 5), STILLS)]
    clips = [(MEDIA/'clips'/n, '', 0, '') for n in CLIPS]
    yield from ((*j, 'auto') for j in stills)
    yield from ((*stills[i], 'off') for i in (0, 2, 3))
    yield *stills[1][:1], '', 0, 'Some words are spoken by the voice, so that its time is known as well.', 'auto'
    yield from ((*j, 'auto') for j in clips)
    yield from ((*clips[i], 'off') for i in (0, 3, 5))

def main():
    ask = argparse.ArgumentParser()
    ask.add_argument('--keep', type=Path, help='a file of finished jobs')
    keep = ask.parse_args().keep
    sys.path.insert(0, str(ROOT))
    from lipsync_kit.hub.cards import available
    from lipsync_kit.pipe.speeds import Measured, _line, probe, read_speeds
    if not available('spleeter-2stems'): sys.exit('run `lipsync models download spleeter-2stems` first')
    with tempfile.TemporaryDirectory() as d:
        kept = keep or Path(d)/'speeds.jsonl'
        os.environ.update(PYTHONPATH=str(ROOT))
        done = len(read_speeds(kept)) // 2
        for i, job in enumerate(jobs()):
            if i < done: continue
            print(Path(job[0]).name, job[-1], flush=True)
            own = Path(d)/'own.jsonl'
            own.unlink(missing_ok=True)
            subprocess.run([sys.executable, '-c', ONE, *map(str, job)], check=True, stderr=subprocess.DEVNULL,
                           env=os.environ | dict(LIPSYNC_KIT_SPEEDS=str(own)))
            if len(read_speeds(own)) != 2: sys.exit(f'{len(read_speeds(own))} runs were noted in place of 2')
            with kept.open('a') as f: f.write(own.read_text())
        runs = read_speeds(kept)
    everything = [Measured('probe', cpu=probe(50)), *runs]
    lines = [_line(replace(m, machine='reference')) for m in everything]
    (ROOT/'lipsync_kit'/'data'/'speeds.jsonl').write_text('\n'.join(lines) + '\n')
    print(f'{len(runs)} runs')

if __name__ == '__main__': main()
