"""How well the sync score without weights separates matched from mismatched sound, and finds a shift of 200 ms.

    python bench/sync_score.py [folder with manifest.json] [folder of motion models, PERSON.safetensors]
Each model is to be trained without its person. Without such models the shipped one is used. It was trained on most of
these people, so its figures are too good; the last line says so."""
import json, sys
from pathlib import Path
from typing import NamedTuple
import numpy as np
from lipsync_kit.metrics.mouth_sync import agreement, at_times, prediction, high_pass, mismatched_audio, sync_curve
from lipsync_kit.metrics.clip import analyse
from lipsync_kit.motion.network import FPS, motion_model_card
from measure import MEDIA

SHIFT = .2    # seconds

class Item(NamedTuple):
    "One clip"
    name:str
    lag:float              # seconds that its picture is late, from the manifest
    expected:np.ndarray    # [n,3] from the motion model
    measured:np.ndarray    # [n,3] on the face
    known:bool             # the motion model was trained on this person

def clips(media:Path, models:Path|None)->list[Item]:
    "The speaking clips of a manifest"
    trained, res = {c['person'] for c in motion_model_card()['clips'] if 'models' in c['used_for']}, []
    for c in json.loads((media/'manifest.json').read_text())['clips']:
        lag = ((c.get('sync') or {}).get('learned') or {}).get('mouth_lag_ms')
        if c['subset'] != 'speaking' or lag is None: continue
        own = models/f"{c['person']}.safetensors" if models else None
        own = own if own and own.exists() else None
        w = analyse(media/c['file'], [])
        expected = prediction(w.audio, own or 'auto')
        measured = at_times(w.times, w.mouth, len(expected))
        known = own is None and c['person'] in trained
        res.append(Item(c['name'], lag / 1000, high_pass(expected), high_pass(measured), known))
    return res

def score(expected, measured)->tuple[float, float]:
    "The score and the confidence"
    far, r = mismatched_audio(expected, measured), agreement(expected, measured)
    return r, (r - far.mean()) / far.std()

def delayed(x, seconds): return np.roll(x, round(seconds * FPS), 0)
def as_long(x, n): return np.tile(x, (-(-n // len(x)), 1))[:n]
def best_lag(expected, measured)->float:
    at, r = sync_curve(expected, measured)
    return at[np.nanargmax(r)]

def aucs(own, others)->list[float]:
    "The share of pairs in which the matched one is higher, of the score and of the confidence"
    pairs = zip(np.array(own).T, np.array(others).T)
    return [float(np.mean((x[:, None] > y) + .5 * (x[:, None] == y))) for x, y in pairs]

def main(media:Path, models:Path|None):
    items, own, others, signs, errors, raw = clips(media, models), [], [], [], [], []
    for c in items:
        raw.append(agreement(c.expected, c.measured))
        n = min(len(c.expected), len(c.measured))
        expected, measured = delayed(c.expected, c.lag)[:n], c.measured[:n]     # without the clip's own lag
        if agreement(expected, measured) is None:
            print(f'{c.name:26} no face with sound')
            continue
        own.append(score(expected, measured))
        others += [score(as_long(o.expected, n), measured) for o in items if o.name != c.name]
        errors.append(best_lag(expected, measured))
        found = [np.sign(best_lag(delayed(expected, -s), measured)) == np.sign(s) for s in (-SHIFT, SHIFT)]
        signs += found
        r, sure = own[-1]
        print(f'{c.name:26} score {r:5.2f}  confidence {sure:5.1f}  lag left {1000 * errors[-1]:5.0f} ms  '
              f"shifts found {sum(found)} of 2{'  (trained on this person)' if c.known else ''}", flush=True)
    raw = [x for x in raw if x is not None]
    summary(own, others, signs, errors, raw)
    print(f'{sum(c.known for c in items)} of {len(items)} clips were measured by a motion model trained on the person')

def summary(own, others, signs, errors, raw):
    "The figures over all clips"
    by_score, by_confidence = aucs(own, others)
    near = 100 * np.mean(np.abs(errors) <= .041)
    mean, as_they_are = np.array(own)[:, 0].mean(), aucs([(x,) for x in raw], [(o[0],) for o in others])[0]
    print(f"mean score {mean:.3f} without each clip's own lag, {np.mean(raw):.3f} with it")
    print(f"{len(own)} clips against {len(others)} with another clip's sound: AUC of the score {by_score:.3f}, "
          f'of the confidence {by_confidence:.3f} (target 0.95)')
    print(f'with the lags that the clips have (up to 240 ms): AUC of the score {as_they_are:.3f}')
    print(f'sign of a shift of 200 ms right on {100 * np.mean(signs):.0f} % (target 90); '
          f"without a shift within 40 ms of the manifest's lag on {near:.0f} %")

if __name__ == '__main__':
    folders = [Path(a) for a in sys.argv[1:3]]
    main(folders[0] if folders else MEDIA, folders[1] if len(folders) > 1 else None)
