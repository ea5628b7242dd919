"""Who speaks when, against labels made by watching: seconds on the wrong face, and without a face, per second of labelled speech.
A narrator's sound under pictures of somebody else: seconds in which that face would be given the voice."""
from itertools import pairwise
from pathlib import Path
import numpy as np
from measure import MEDIA
from lipsync_kit.media.read import read_audio, read_frames
from lipsync_kit.pipe.speakers import found_turns, watch, who_speaks
from lipsync_kit.speech.turns import OFF, load_turns

LABELS = Path(__file__).parent.parent/'tests'/'data'
CLIPS = 'interview_two_faces.mp4', 'debate_two_faces.mp4', 'debate_ca_1.avi'
ALONE = ('hdtf_aoc.mp4', 'hdtf_radio13.mp4', 'news_cnn_anchor.mp4', 'podium_woman.mp4', 'grid_bbaf2n.mpg', 'portrait_kitchen_man.mp4',
         'congress_bald_man.mp4', 'expressive_woman.mp4')

def scored(turns, labels, collar=0., step=.02):
    "Seconds labelled, on a wrong face, with no face, where one person alone speaks, on a wrong face there"
    place = {p.name: ('left', 'right')[int(p.places[0, 1] > .5)] for p in turns.people}
    edges, res = [e for t in labels.turns for e in (t.start, t.end)], np.zeros(5)
    for t in np.arange(0, labels.turns[-1].end, step):
        if any(abs(t - e) < collar for e in edges): continue
        right = {x.speaker for x in labels.turns if x.start <= t < x.end}
        if not right: continue
        now = next((x for x in turns.turns if x.start <= t < x.end), None)
        said = place.get(now.speaker, OFF) if now and now.seen else OFF
        wrong = said != OFF and said not in right
        res += step * np.array([1, wrong, said == OFF and OFF not in right, len(right) == 1, wrong and len(right) == 1])
    return res

def line(name, r): return f'{name:26} {r[0]:5.1f} s: wrong face {r[1]/r[0]:5.1%}, no face {r[2]/r[0]:5.1%}; where one speaks alone {r[3]:.1f} s: wrong {r[4]/max(r[3],1e-6):5.1%}'

def main():
    seen = {}
    for collar in (0., .25):
        total = np.zeros(5)
        print(f'collar {collar:g} s around each labelled change')
        for name in CLIPS:
            if name not in seen: seen[name] = who_speaks(MEDIA/'clips'/name)
            r = scored(seen[name], load_turns(LABELS/f'{Path(name).stem}.rttm'), collar)
            total += r
            print(line(name, r), flush=True)
        print(line('all', total))
    own = other = 0.
    faces = {name: watch(read_frames(MEDIA/'clips'/name)) for name in ALONE}
    sounds = {name: read_audio(MEDIA/'clips'/name) for name in ALONE}
    for a, b in pairwise([*ALONE, ALONE[0]]):
        n = min(sounds[b].duration, faces[a][0].times[-1])
        right, wrong = found_turns(faces[a], sounds[a]), found_turns(faces[a], sounds[b].cut(0, n))
        share = [sum(t.end - t.start for t in x.turns if t.seen) / sum(t.end - t.start for t in x.turns) for x in (right, wrong)]
        print(f'{a:26} own sound: its face {share[0]:4.0%}; sound of {b}: its face {share[1]:4.0%}', flush=True)
        own, other = own + share[0] / len(ALONE), other + share[1] / len(ALONE)
    print(f'mean: own sound {own:.0%}, another\'s {other:.0%}')

if __name__ == '__main__': main()
