"""A person's browser in the outside world: Chromium without a screen, on a machine with one address of its own.

It runs as an ordinary user in that machine's network namespace, with Chromium's own sandbox, and is driven as WebDriver
drives it (https://www.w3.org/TR/webdriver2/): what it sends, and when it gives up, is the browser's own affair.
"""

import importlib.util
import os
import pathlib
import re
import shutil
import tempfile

import attack
import host
import namespaces

PROGRAMS = {"chromium": "chromium", "chromedriver": "chromium-driver"}
NOBODY = 65534


def missing():
    """Why no browser can be had here, or None."""
    packages = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    packages += [] if importlib.util.find_spec("selenium") else ["python3-selenium"]
    return f"needs the packages {', '.join(packages)}" if packages else None


def desk(world, name, address):
    """A machine of the outside world whose every connection comes from this address."""
    client = attack.Client.at(world, name, [f"{address}/32"])
    for route in (["default", "via", host.GATEWAY_4], ["192.0.2.0/24", "dev", "eth0"]):
        client.netns.run("ip", "route", "replace", *route, "src", address)
    # Chromium waits as long as the kernel does: two unanswered packets instead of seven, seconds instead of minutes.
    client.netns.run("sysctl", "-qw", "net.ipv4.tcp_syn_retries=1")
    return client


class Browser:
    """A running Chromium at a `desk`; use as a context manager, by one thread."""

    def __init__(self, client):
        self.client = client
        self.home = pathlib.Path(tempfile.mkdtemp(dir=client.world.folder))
        self._driver = None

    def __enter__(self):
        from selenium import webdriver                  # only where it is installed; see missing()
        from selenium.webdriver.chrome.service import Service
        os.chown(self.home, NOBODY, NOBODY)
        driver = self.home / "driver"                   # the service is started by a path, not by a command line
        driver.write_text("#!/bin/sh\nexec setpriv --pdeathsig KILL {2} "
                          "setpriv --reuid={0} --regid={0} --clear-groups --no-new-privs "
                          "env -i HOME={1} TMPDIR={1} PATH=/usr/bin:/bin chromedriver \"$@\"\n"
                          .format(NOBODY, self.home, " ".join(namespaces.OWN_PIDS)))
        driver.chmod(0o755)
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for option in ("--headless=new", "--disable-gpu", "--no-proxy-server", "--no-first-run",
                       f"--user-data-dir={self.home}/profile",
                       "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 192.0.2.*"):   # nobody would answer
            options.add_argument(option)
        with self.client.netns:
            self._driver = webdriver.Chrome(options=options, service=Service(
                str(driver), log_path=f"{self.home}/log"))
            self._driver.set_page_load_timeout(60)
        return self

    def __exit__(self, *_):
        with self.client.netns:
            self._driver.quit()
        shutil.rmtree(self.home, ignore_errors=True)

    def open(self, url):
        """Go there: "open", or why the browser shows its own page instead (as "ERR_CONNECTION_TIMED_OUT")."""
        from selenium.common.exceptions import WebDriverException
        try:
            with self.client.netns:
                self._driver.get(url)
        except WebDriverException as why:
            return failure(why)
        return "open"

    def webmail(self, url, user, password):
        """Fill in Roundcube's form and send it; the outcome, or why there was none."""
        from selenium.common.exceptions import WebDriverException
        from selenium.webdriver.common.by import By
        from selenium.webdriver.support.ui import WebDriverWait
        try:
            with self.client.netns:
                self._driver.get(f"{url}?_task=login")
                self._driver.find_element(By.NAME, "_user").send_keys(user)
                self._driver.find_element(By.NAME, "_pass").send_keys(password)
                form = self._driver.find_element(By.TAG_NAME, "form")
                self._driver.find_element(By.ID, "rcmloginsubmit").click()
                WebDriverWait(self._driver, 60).until(lambda _: gone(form))
                if self._driver.find_elements(By.ID, "messagelist"):
                    return attack.ACCEPTED
                return attack.REFUSED if self._driver.find_elements(By.NAME, "_pass") else self._driver.title
        except WebDriverException as why:
            return failure(why)


def gone(element):
    """Whether an element's page was left."""
    from selenium.common.exceptions import StaleElementReferenceException
    try:
        element.is_enabled()
        return False
    except StaleElementReferenceException:
        return True


def failure(why):
    """An exception of WebDriver in a word: the network's error if it was one."""
    found = re.search(r"net::(ERR_\w+)", str(why))
    return found.group(1) if found else f"{type(why).__name__}: {why}"
