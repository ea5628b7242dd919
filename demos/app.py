"The app: `python demos/app.py`, or `lipsync app`, and open the address it prints. Its page is `lipsync_kit.app`."
from lipsync_kit.cli.main import main

if __name__ == '__main__': main('app')
