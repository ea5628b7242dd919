"""The figures from which `lipsync plan` starts on a machine that has made nothing yet: runs of the portrait model on stills and clips of many
sizes, each in a process of its own, and a short calculation that other machines repeat. Run it on two quiet cores, with the weights of
Spleeter's two stems and of Kokoro there (taking music out of the sound and speaking take memory too):

    python bench/speeds.py                      # writes lipsync_kit/data/speeds.jsonl
    python bench/speeds.py --keep runs.jsonl    # a run that was stopped goes on from the jobs in that file
    python bench/speeds.py --memory             # the peak memory alone, once a job: on a busy machine, where seconds would be wrong

Seconds are of processor time; what other programs took meanwhile is on each line (`others`). After `--memory` the lines with seconds are
those that were there, and others, without seconds, tell the memory.
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
import numpy as np
from lipsync_kit.core import Audio
from lipsync_kit.media.read import read_audio
from lipsync_kit.pipe.run import lipsync
face, speech, seconds, text, clean, voice, times = sys.argv[1:8]
audio = None if text or not speech else read_audio(speech)
if audio: audio = Audio(np.tile(audio.samples, int(float(seconds) / audio.duration) + 1), audio.rate).cut(0, float(seconds))
rate = dict(fps=5) if float(seconds) > 60 else {}      # a long sound, not a long wait
for n in range(int(times)): lipsync(face, audio, text=text or None, clean=clean, voice=voice, **rate)
'''

def jobs():
    "Face, speech ('' for that of the video), seconds of it, text, what is taken out of the sound, voice"
    speech = MEDIA/'speech'/'hdtf_radio31_en.wav'
    stills = [(MEDIA/'portraits'/n, speech, s, '') for s, n in zip((3, 6, 2, 4, 5), STILLS)]
    clips = [(MEDIA/'clips'/n, '', 0, '') for n in CLIPS]
    yield from ((*j, 'auto', 'auto') for j in stills)
    yield from ((*stills[i], 'off', 'auto') for i in (0, 2, 3))
    yield stills[0][0], speech, 720, '', 'off', 'auto'       # what a minute of sound takes, which a few seconds do not tell
    for voice in 'kokoro', 'hibari':
        yield stills[1][0], '', 0, 'Some words are spoken by the voice, so that its time is known as well.', 'auto', voice
    yield from ((*j, 'auto', 'auto') for j in clips)
    yield from ((*clips[i], 'off', 'auto') for i in (0, 3, 5))

def measured(job, times, own):
    "The lines that a job leaves"
    own.unlink(missing_ok=True)
    subprocess.run([sys.executable, '-c', ONE, *map(str, job), str(times)], check=True, stderr=subprocess.DEVNULL,
                   env=os.environ | dict(LIPSYNC_KIT_SPEEDS=str(own), PYTHONPATH=str(ROOT)))
    if len(lines := own.read_text().splitlines()) != times: sys.exit(f'{len(lines)} runs were noted in place of {times}')
    return lines

def main():
    ask = argparse.ArgumentParser()
    ask.add_argument('--keep', type=Path, help='a file of finished jobs')
    ask.add_argument('--memory', action='store_true', help='measure the peak memory alone')
    a = ask.parse_args()
    sys.path.insert(0, str(ROOT))
    from lipsync_kit.hub.cards import available
    from lipsync_kit.pipe.speeds import Measured, _line, probe, read_speeds, reference
    lacking = [n for n in ('spleeter-2stems', 'kokoro', 'hibari-us') if not available(n)]
    if lacking: sys.exit(f"run `lipsync models download {' '.join(lacking)}` first")
    with tempfile.TemporaryDirectory() as d:
        kept = a.keep or Path(d)/'speeds.jsonl'
        done = sum(m.memory > 0 for m in read_speeds(kept))         # one line of each job has it
        for job in list(jobs())[done:]:
            print(Path(job[0]).name, *job[-2:], flush=True)
            lines = measured(job, 1 if a.memory else 2, Path(d)/'own.jsonl')
            with kept.open('a') as f: f.write('\n'.join(lines) + '\n')
        runs = read_speeds(kept)
    if a.memory:
        speed, old = reference()
        runs = [*(replace(m, memory=0) for m in old if m.cost), *(replace(m, cpu=0., wall=0.) for m in runs if m.memory)]
    else: speed = probe(50)
    lines = [_line(replace(m, machine='reference')) for m in (Measured('probe', cpu=speed), *runs)]
    (ROOT/'lipsync_kit'/'data'/'speeds.jsonl').write_text('\n'.join(lines) + '\n')
    print(f'{len(runs)} lines')

if __name__ == '__main__': main()
