"""What gives a portrait away, measured alike on real clips and on what is made of their first frame and own sound: lids, insides of mouths, head, blinks, gaze, brows, chin, width.

    python bench/portrait_quality.py [folder with manifest.json] [seconds of each clip] [names of clips ...]
The last lines are five landmark rows in the manner of THEval (CVPR 2026): 1 - |made - real| / real of the means over the clips. The shipped motion
model has heard these people; that touches the rows of the lips, not the others."""
import json, sys, tempfile
from pathlib import Path
import cv2, numpy as np
from lipsync_kit import lipsync
from lipsync_kit.core import ARKIT, mouth_open
from lipsync_kit.faces.detect import landmarks
from lipsync_kit.media.read import read_audio, read_frames
from lipsync_kit.models.portrait.geometry import IN_LOW, IN_UP
from lipsync_kit.motion.basis import load_basis, to_reference
from measure import MEDIA

media = Path(sys.argv[1]) if len(sys.argv) > 1 else MEDIA
seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 8.
NOT_ONE_FACE = 'interview_two_faces', 'debate_two_faces', 'debate_ca_1', 'dfdc_portrait_tiny_face', 'ted_small_face'
EYES = ((159, 145, 33, 133, (50, 101, 36)), (386, 374, 263, 362, (280, 330, 266)))   # upper lid, lower lid, corners, cheek
BINS = (.03, .06), (.06, .15), (.15, .30)
def lightness(x): return cv2.cvtColor(np.float32(x) / 255, cv2.COLOR_RGB2Lab)[..., 0]

def cheek_value(picture, p, ids):
    spots = [picture[int(y) - 2:int(y) + 3, int(x) - 2:int(x) + 3] for x, y in p[list(ids), :2]]
    return float(np.median([s.mean() for s in spots if s.size]))

def lid(image, p, iod):
    "Lightness of the lids between fold and lashes, minus that of the cheek below"
    light, res = lightness(image), []
    for up, low, a, b, cheek in EYES:
        x, line = p[[a, b], 0].mean(), p[[up, low], 1].mean()
        piece = light[int(line - .13 * iod):int(line - .03 * iod) + 1, int(x - .06 * iod):int(x + .06 * iod) + 1]
        if piece.size: res.append(float(piece.mean()) - cheek_value(light, p, cheek))
    return np.mean(res) if res else np.nan

def inside(image, p, iod):
    "Brightness between the lips in parts of the cheek's: share above .75, mean"
    area = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(area, [np.rint(np.concatenate([p[IN_UP, :2], p[IN_LOW, :2][::-1]])).astype(np.int32)], 1)
    grey = image.mean(-1)
    v = grey[area > 0] / max(cheek_value(grey, p, (50, 280, 101, 330, 205, 425)), 1)
    return ((v > .75).mean(), v.mean()) if len(v) > 8 else (np.nan, np.nan)

def follow(image, face):
    p, iod = face.points, face.iod
    b = face.blendshapes
    def shape(name): return b[ARKIT.index(name)]
    gap, shut = float(np.linalg.norm(p[13] - p[14]) / iod), min(shape('eyeBlinkLeft'), shape('eyeBlinkRight'))
    brow = np.mean([np.linalg.norm((p[i] - p[j])[:2]) for i, j in ((105, 159), (334, 386))]) / iod
    return dict(gap=gap, pose=face.pose, brow=brow, shut=shut, gaze=shape('eyeLookOutLeft') - shape('eyeLookInLeft'),
                points=p, width=float(np.linalg.norm((p[308] - p[78])[:2])) / iod,
                lid=lid(image, p, iod) if shut > .55 else np.nan, inside=inside(image, p, iod) if gap > .03 else (np.nan, np.nan))

def measure(path, sound):
    "All figures of one video"
    rows, times = [], []
    for f in read_frames(path):
        if f.time >= seconds: break
        face = landmarks(f.image)
        if face is None: continue
        times.append(float(f.time)); rows.append(follow(f.image, face))
    if len(rows) < 25: return None
    c = {k: np.array([r[k] for r in rows], float) for k in rows[0]}
    level = to_reference(c['points'], load_basis().reference)   # without the head's motion
    t, gap = np.array(times), c['gap']
    pose = np.degrees(np.unwrap(np.radians(c['pose']), axis=0))
    x, rate = sound.samples, sound.rate
    rms = np.array([np.sqrt(np.mean(x[max(0, int((s - .05) * rate)):int((s + .05) * rate) + 1]**2) + 1e-12) for s in t])
    loud = rms > max(.003, .06 * np.percentile(rms, 95))
    def unit(v): return (v - v.min()) / (np.ptp(v) + 1e-9)
    silent = ~loud & (np.convolve(~loud, np.ones(9), 'same') > 7)
    blinks = ((c['shut'][1:] > .45) & (c['shut'][:-1] <= .45)).sum()
    res = dict(lid=np.nanmedian(c['lid']) if np.isfinite(c['lid']).any() else np.nan, blinks=60 * blinks / (t[-1] - t[0]), gaze=c['gaze'].std(),
               **{n: v for n, v in zip(('pitch', 'yaw', 'roll'), pose.std(0))}, speed=np.abs(np.diff(pose, axis=0)).mean() * (len(t) - 1) / (t[-1] - t[0]),
               chin=np.polyfit(mouth_open(level), level[:, 152, 1], 1)[0], width=c['width'].std(),
               lips=gap.std(), head=pose.std(0).sum(), brows=c['brow'].std(),
               silent=np.median(np.abs(gap[silent] - np.median(gap[silent]))) if silent.sum() > 4 else np.nan, sync=np.abs(unit(gap) - unit(rms))[loud].mean())
    for low, high in BINS:
        here = (gap >= low) & (gap < high)
        res[f'bright {low}'], res[f'mean {low}'] = np.nanmean(c['inside'][here], 0) if here.sum() > 3 else (np.nan, np.nan)
    return res

real, made = [], []
for c in json.loads((media/'manifest.json').read_text())['clips']:
    if c['subset'] != 'speaking' or c['duration'] < 5 or c['name'] in NOT_ONE_FACE or (sys.argv[3:] and c['name'] not in sys.argv[3:]): continue
    path = media/c['file']
    sound = read_audio(path).cut(0, min(seconds, c['duration']))
    with tempfile.TemporaryDirectory() as d:
        drawn = lipsync(next(read_frames(path)).image, sound, out=Path(d)/'a.mp4').path
        pair = measure(path, sound), measure(drawn, sound)
    if None in pair: continue
    real.append(pair[0]); made.append(pair[1])
    print(f"{c['name']:24} " + '  '.join(f'{k} {pair[0][k]:.3g}/{pair[1][k]:.3g}' for k in ('lid', 'blinks', 'head', 'brows', 'gaze')), flush=True)
print(f'\n{"median of " + str(len(real)) + " clips":24} {"real":>8} {"made":>8}')
for k in real[0]: print(f'{k:24} {np.nanmedian([r[k] for r in real]):8.3f} {np.nanmedian([m[k] for m in made]):8.3f}')
rows = {k: [np.nanmean([r[k] for r in x]) for x in (real, made)] for k in ('lips', 'head', 'brows', 'silent', 'sync')}
scores = {k: 1 - abs(m - r) / r for k, (r, m) in rows.items()}
print('\nfive rows: ' + '  '.join(f'{k} {v:.2f}' for k, v in scores.items()) + f'  mean {np.mean(list(scores.values())):.3f}')
