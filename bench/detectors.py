"What each face detector that is on this machine costs and finds: processor time of one thread, against MediaPipe in the same run"
import time
import cv2, numpy as np
from skimage import data
from lipsync_kit.core import KitError
from lipsync_kit.faces.detectors.card import DETECTORS

def overlap(a, b):
    "Intersection over union of two boxes"
    w, h = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
    common = max(w, 0) * max(h, 0)
    return common / (sum((x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)) - common)

def pictures():
    "Public pictures: a portrait, small in a large frame, two of them, turned by 40 degrees"
    photo = data.astronaut()
    small = np.full((720, 1280, 3), 110, np.uint8); small[300:500, 700:900] = cv2.resize(photo[:300, 80:380], (200, 200), interpolation=cv2.INTER_AREA)
    two = np.concatenate([np.pad(cv2.resize(photo, (384, 384)), ((128, 0), (0, 0), (0, 0))), photo], 1)
    turned = cv2.warpAffine(photo, cv2.getRotationMatrix2D((226, 120), 40, 1), (512, 512), borderValue=(110,) * 3)
    return dict(portrait=photo, small=small, two=two, turned=turned)

def looked(detect, image, n=3):
    "Faces, and milliseconds of processor time"
    detect(image, None)
    t = time.process_time()
    for _ in range(n): found = detect(image, None)
    return found, 1000 * (time.process_time() - t) / n

def main():
    detectors = {}
    for name, card in DETECTORS.all().items():
        try: detectors[name] = card.load('cpu')
        except KitError as e: print(f'{name} is not here: {str(e)[:70]}...')
    for title, image in pictures().items():
        base, ms = looked(detectors['mediapipe'], image)
        print(f'{title}, {image.shape[1]}x{image.shape[0]}: mediapipe {len(base)} found, {ms:.0f} ms')
        for name in detectors.keys() - {'mediapipe'}:
            found, took = looked(detectors[name], image)
            same = [max((overlap(f.box, g.box) for g in found), default=0) for f in base]
            print(f'   {name} {len(found)} found, {took / ms:.2f} times its cost, overlap {np.round(same, 2).tolist()}')

if __name__ == '__main__': main()
