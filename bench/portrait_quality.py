"""What gives a portrait away.

    python bench/portrait_quality.py [part] [folder with manifest.json] [seconds of each clip] [names of clips ...]
`clips`, the default: lids, insides of mouths, head, blinks, gaze, brows, chin, width, measured alike on real clips and on what is made of their first frame
and own sound. `dub`: how often the inside of a mouth changes abruptly, in clips and when they say something else. `turned`: openings got over asked
on faces turned by 25 to 40 degrees. `smiles`: how wide "oo" is, and teeth on shut lips, on photos that smile or are open. `background`: how far straight
lines beside the head move and bend while it turns. `emotions`: what a network for expressions says (`lipsync models download emotion-fer`, else left out).
The last lines of `clips` are five landmark rows in the manner of THEval (CVPR 2026): 1 - |made - real| / real of the means over the clips. The shipped motion
model has heard these people; that touches the rows of the lips, not the others."""
import json, sys, tempfile
from pathlib import Path
import cv2, numpy as np
from lipsync_kit import lipsync
from lipsync_kit.core import ARKIT, mouth_open
from lipsync_kit.faces.detect import landmarks, landmarks_near
from lipsync_kit.media.read import read_audio, read_frames, read_image
from lipsync_kit.models.portrait.geometry import IN_LOW, IN_UP, measure as geometry_of
from lipsync_kit.models.portrait.mouth import _tooth_coloured, median_colour
from lipsync_kit.models.portrait.still import prepare
from lipsync_kit.models.portrait.turn import displacement, face_axes, straight_lines, turn_for
from lipsync_kit.motion.basis import load_basis, to_reference
from measure import MEDIA

PARTS = 'clips', 'dub', 'turned', 'smiles', 'background', 'emotions'
part, *rest = sys.argv[1:] if sys.argv[1:] and sys.argv[1] in PARTS else ['clips', *sys.argv[1:]]
media = Path(rest[0]) if rest else MEDIA
seconds = float(rest[1]) if len(rest) > 1 else 8.
wanted = rest[2:]
LIPS = np.eye(6, dtype=np.float32)
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
               silent=np.median(np.abs(gap[silent] - np.median(gap[silent]))) if silent.sum() > 4 else np.nan,
               widest_pause=np.percentile(gap[silent], 95) if silent.sum() > 4 else np.nan, sync=np.abs(unit(gap) - unit(rms))[loud].mean())
    for low, high in BINS:
        here = (gap >= low) & (gap < high)
        res[f'bright {low}'], res[f'mean {low}'] = np.nanmean(c['inside'][here], 0) if here.sum() > 3 else (np.nan, np.nan)
    return res

def clips():
    real, made = [], []
    for c in json.loads((media/'manifest.json').read_text())['clips']:
        if c['subset'] != 'speaking' or c['duration'] < 5 or c['name'] in NOT_ONE_FACE or (wanted and c['name'] not in wanted): continue
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

DUBBED = (('hdtf_aoc', 'news_german_anchor'), ('news_german_anchor', 'hdtf_aoc'), ('expressive_woman', 'congress_bald_man'),
          ('congress_bald_man', 'expressive_woman'), ('portrait_kitchen_man', 'news_cnn_anchor'), ('hdtf_radio42', 'president_address_offset'))

def straightened(image, p):
    "What lies between the lips as a rectangle of 24 x 48 pixels"
    def along(c): return np.stack([np.interp(np.linspace(1.2, 8.8, 48), np.arange(11), v) for v in c.T], -1)
    a, b, t = along(p[IN_UP, :2])[None], along(p[IN_LOW, :2])[None], np.linspace(.15, .85, 24)[:, None, None]
    return cv2.remap(image, (a + t * (b - a)).astype(np.float32), None, cv2.INTER_LINEAR).astype(float)

def changes(path, seconds):
    "Mean change of the inside of the mouth from frame to frame, grey levels"
    face, before, res = None, None, []
    for f in read_frames(path):
        if f.time >= seconds: break
        face = (landmarks_near(f.image, face.points) if face else None) or landmarks(f.image)
        shows = face is not None and mouth_open(face.points) > .05 and mouth_open(face.points) * face.iod > 4
        now = straightened(f.image, face.points) if shows else None
        if now is not None and before is not None: res.append(np.abs(now - before).mean())
        before = now
    return np.array(res)

def clip_file(name): return next((media/'clips').glob(name + '.*'))

def dub():
    for name, voice in DUBBED:
        if wanted and name not in wanted: continue
        with tempfile.TemporaryDirectory() as d:
            made = lipsync(clip_file(name), read_audio(clip_file(voice)).cut(0, seconds), out=Path(d)/'a.mp4', fit='speech').path
            real, drawn = changes(clip_file(name), seconds), changes(made, seconds)
        print(f'{name:24} more than 20 levels: clip {100 * (real > 20).mean():4.1f} % dubbed {100 * (drawn > 20).mean():4.1f} %   mean: {real.mean():.1f} {drawn.mean():.1f}', flush=True)

def photos():
    "Portraits with a face, at most 640 pixels high"
    for p in json.loads((media/'manifest.json').read_text())['portraits']:
        if 'no-face' in p['tags'] or (wanted and p['name'] not in wanted): continue
        image = read_image(media/p['file']).image
        k = min(1, 640 / max(image.shape[:2]))
        image = cv2.resize(image, None, fx=k, fy=k, interpolation=cv2.INTER_AREA) if k < 1 else image
        face = landmarks(image)
        if face is not None and face.iod >= 25: yield p['name'], image, face

def turned_faces():
    "One frame for each four degrees between 25 and 40, of clips and portraits"
    for name, image, face in photos():
        if 25 < abs(face.pose[1]) < 40: yield name, image, face
    for name in ('debate_ca_1', 'debate_two_faces', 'portrait_kitchen_man'):
        seen = set()
        for i, f in enumerate(read_frames(clip_file(name))):
            if f.time > seconds: break
            face = landmarks(f.image) if i % 5 == 0 else None
            if face is None or not 25 < abs(face.pose[1]) < 40 or face.iod < 30 or round(face.pose[1] / 4) in seen: continue
            seen.add(round(face.pose[1] / 4))
            yield f'{name} {float(f.time):.1f} s', f.image, face

def gain(still, face, openings=(0, .05, .1, .15, .2, .25)):
    "Slope of what a tracker sees over what is asked, and what it sees of shut lips"
    seen = [landmarks_near(still.draw(a / .11 * LIPS[0], a), face.points) for a in openings]
    pairs = np.array([(a, mouth_open(s.points)) for a, s in zip(openings, seen) if s is not None])
    return np.polyfit(*pairs.T, 1)[0], pairs[0, 1]

def turned():
    rows = []
    for name, image, face in turned_faces():
        rows.append(gain(prepare(image, face), face))
        print(f'{name:32} yaw {face.pose[1]:4.0f}  got/asked {rows[-1][0]:.2f}  shut {rows[-1][1]:.3f}', flush=True)
    print(f'median of {len(rows)}: {np.median([r[0] for r in rows]):.2f}')

def teeth_left(image, face):
    "Share of the places where lips meet, or gape, that has the colour of teeth"
    p, r = face.points, max(1, round(.015 * face.iod))
    inner = np.concatenate([p[IN_UP, :2], p[IN_LOW, :2][::-1]])
    area = cv2.fillPoly(np.zeros(image.shape[:2], np.uint8), [np.rint(inner).astype(np.int32)], 1)
    area = cv2.dilate(area, np.ones((3, 3), np.uint8), iterations=r) > 0
    lip = median_colour(image, p[[73, 11, 303, 85, 16, 315], :2], r)
    return float((_tooth_coloured(image.astype(np.float32), lip) & area).sum() / area.sum())

def smiles():
    "Widths over the distance of the eyes; the fitted face says 'oo' at .63, faces of the portraits that don't smile at .47 to .74"
    def width(f): return np.linalg.norm(f.points[308] - f.points[78]) / f.iod
    for name, image, face in photos():
        still = prepare(image, face)
        g = still.geometry
        if g.smile == 0 and g.gap < .03: continue
        drawn = [still.draw(l, a) for l, a in ((0 * LIPS[0], 0.), (.6 * LIPS[0] - 1.8 * LIPS[1], .07))]
        shut, round_ = (landmarks_near(x, face.points) for x in drawn)
        print(f'{name:24} gap {g.gap:.2f} smile {g.smile:.2f}  width: photo {width(face):.2f} shut {width(shut):.2f} oo {width(round_):.2f}  teeth between the lips: photo {100 * teeth_left(image, face):4.1f} % shut {100 * teeth_left(drawn[0], shut):4.1f} %', flush=True)

def moved_lines(image, g, turn, lines, head):
    "By how much each line moves across itself on average, and bends at most, % of the distance of the eyes"
    (c, axes), res = face_axes(g), []
    d, places = displacement(turn, head), turn.places
    for a, b in lines @ axes.T * g.iod + c - [turn.rect.x0, turn.rect.y0]:
        t = np.linspace(0, 1, 20)[:, None]
        at = ((a + t * (b - a) - places[0, 0]) / (places[1, 1] - places[0, 0])).astype(np.float32)
        across = np.array([a[1] - b[1], b[0] - a[0]]) / np.linalg.norm(b - a)
        off = cv2.remap(d.astype(np.float32), at[None, :, 0], at[None, :, 1], cv2.INTER_LINEAR)[0] @ across
        straight = np.polyval(np.polyfit(t[:, 0], off, 1), t[:, 0])
        res.append((np.abs(off).mean(), np.abs(off - straight).max()))
    return 100 * np.array(res) / turn.iod

def background():
    pictures = [*photos(), *((n, im, landmarks(im)) for n in ('hdtf_aoc', 'news_german_anchor', 'vfr_suit_man', 'podium_woman', 'portrait_kitchen_man', 'congress_bald_man', 'president_address_offset', 'hdtf_radio13', 'hdtf_radio42') for im in [next(read_frames(clip_file(n))).image])]
    every = []
    for name, image, face in pictures:
        g = geometry_of(face.points, load_basis())
        lines = straight_lines(image, g)
        if not len(lines) or abs(face.pose[1]) > 40: continue
        turn = turn_for(image, g, face.pose[1])
        x = np.concatenate([moved_lines(image, g, turn, lines, 8 * s * v) for v in np.eye(3) for s in (-1, 1)])
        every.append(x)
        print(f'{name:28} {len(lines):2} lines  moved {x[:, 0].mean():4.1f}, at most {x[:, 0].max():4.1f}  bent {x[:, 1].mean():.1f}, at most {x[:, 1].max():.1f} % of the distance of the eyes', flush=True)
    x = np.array([v.mean(0) for v in every])
    print(f'mean of {len(x)} pictures: moved {x[:, 0].mean():.2f}, bent {x[:, 1].mean():.2f} %')

def emotions():
    from fractions import Fraction
    from lipsync_kit.faces.emotion import EMOTIONS as NAMES, can_judge, emotions_of
    from lipsync_kit.models.portrait.model import draw_moment
    from lipsync_kit.motion.idle import EMOTIONS, apply_emotion
    from lipsync_kit.motion.track import MotionTrack
    if not can_judge(): return print('skipped: lipsync models download emotion-fer')
    def says(picture, face): return [*emotions_of(picture, face).values()]
    opening, found = np.float32([0, .06, .12]), {}
    for name, image, face in photos():
        if abs(face.pose[1]) > 20: continue
        still = prepare(image, face)
        for emotion in EMOTIONS:
            lips, gap, more = apply_emotion(np.outer(opening / .11, LIPS[0]).astype(np.float32), opening, 0 * opening, emotion)
            track = MotionTrack(Fraction(25), lips, np.tile(more, (3, 1)).astype(np.float32), gap)
            found.setdefault(emotion, []).append(np.mean([says(draw_moment(still, track.at(i / 25)), face) for i in range(3)], 0))
    print(f'{"mean of " + str(len(found["neutral"])) + " photos":20}' + ' '.join(f'{n:>10}' for n in NAMES))
    for emotion, x in found.items(): print(f'{emotion:20}' + ' '.join(f'{v:10.2f}' for v in np.mean(x, 0)))

if __name__ == '__main__': globals()[part]()
