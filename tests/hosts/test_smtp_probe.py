"""What the probe of SMTP says of mail servers: open relays of every form, lax ones, and sound ones that look like them.

Each case is a Postfix that is sound but for one thing. What the probe says of that thing is told with the case; of
everything else it must say what it says of the sound one. Exim is asked beside it, as another server's voice.
"""

import pytest

import guard
import host
import trees

PROBER = "/usr/libexec/hauberk/hauberk-prober"
RELAY = "permit_mynetworks, reject_unauth_destination"
SETTINGS = {
    "myhostname": "mail.mx.test", "mydestination": "mail.mx.test, mx.test, localhost", "mynetworks": "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128",
    "smtpd_banner": "$myhostname ESMTP", "disable_vrfy_command": "yes", "smtpd_helo_required": "yes",
    "smtpd_relay_restrictions": RELAY, "smtpd_recipient_restrictions": "", "smtpd_data_restrictions": "reject_unauth_pipelining",
    "smtpd_forbid_bare_newline": "normalize", "smtpd_forbid_bare_newline_exclusions": "$mynetworks",
    "smtpd_tls_auth_only": "yes", "smtpd_error_sleep_time": "0", "inet_protocols": "all", "maillog_file": "",
}
SOUND = {
    "relay 4": "no", "relay 6": "no", "smuggling 4": "none", "smuggling 6": "none", "early 4": "no", "early 6": "no",
    "banner 25": "mail.mx.test ESMTP", "banner 587": "mail.mx.test ESMTP", "banner 465": "mail.mx.test ESMTP",
    **{f"{key} {port}": "no" for key in ("verify", "expand") for port in (25, 587, 465)},
    **{f"{key} {port}": "no" for key in ("mail_without_helo", "injection") for port in (25, 587)},
    "logins 25": "none", "logins_tls 25": "none", "logins 587": "none", "logins_tls 587": "PLAIN", "logins_tls 465": "PLAIN",
}
UNSEEN = {f"{key} {family}": None for key in ("relay", "smuggling", "early") for family in "46"}
EVERYBODY = {"relay 4": "yes", "relay 6": "yes"}
NO_FAMILY_4 = {f"{key} 4": None for key in ("relay", "smuggling", "early")}
SMUGGLED = {"smuggling 4": "LF.LF LF.CRLF CRLF.LF", "smuggling 6": "LF.LF LF.CRLF CRLF.LF"}
POSTSCREEN = """postconf -M 'smtp/inet=smtp inet n - y - 1 postscreen' 'smtpd/pass=smtpd pass - - y - - smtpd' \
    'dnsblog/unix=dnsblog unix - - y - 0 dnsblog' 'tlsproxy/unix=tlsproxy unix - - y - 0 tlsproxy'
    postconf -e postscreen_greet_wait=1s postscreen_greet_action=enforce"""
DEEP = "postconf -e postscreen_pipelining_enable=yes postscreen_non_smtp_command_enable=yes postscreen_bare_newline_enable=yes"


def setting(**settings):
    """postconf -e, as a person would type it."""
    return "postconf -e " + " ".join(f"'{key}={value}'" for key, value in settings.items())


def way(pattern, target, allowed="yes"):
    """A gateway of the old kind: a table of aliases follows ways written into names."""
    return f"""printf '%s %s\\n' '{pattern}' '{target}' >/etc/postfix/ways
    postconf -e mydestination=localhost virtual_alias_domains=v.test virtual_alias_maps=regexp:/etc/postfix/ways \
        allow_untrusted_routing={allowed}"""


# Name: (what is done to the sound server, what the probe then says otherwise; None: that it could not look).
CASES = {
    "sound": ("", {}),
    # --- open relays ---
    "the whole of IPv4 is our network": (setting(mynetworks="0.0.0.0/0"), {
        "relay 4": "yes", "smuggling 4": SMUGGLED["smuggling 4"]}),
    "half of IPv4 is our network": (setting(mynetworks="128.0.0.0/1 127.0.0.0/8"), {
        "relay 4": "yes", "smuggling 4": SMUGGLED["smuggling 4"]}),
    "the whole of IPv6 is our network": (setting(mynetworks="127.0.0.0/8 [::]/0"), {
        "relay 6": "yes", "smuggling 6": SMUGGLED["smuggling 6"]}),
    "a table lets every recipient through": (setting(
        smtpd_relay_restrictions="", smtpd_recipient_restrictions="check_recipient_access static:OK, reject_unauth_destination"), EVERYBODY),
    "a table lets our own senders through": (setting(
        smtpd_relay_restrictions="check_sender_access inline:{mx.test=OK}, reject_unauth_destination"), EVERYBODY),
    "no sender is let through": (setting(
        smtpd_relay_restrictions="check_sender_access inline:{<>=OK}, reject_unauth_destination"), EVERYBODY),
    "a name in HELO is let through": (setting(
        smtpd_relay_restrictions="check_helo_access static:OK, reject_unauth_destination"), EVERYBODY),
    "a whole top-level domain is relayed for": (setting(relay_domains="com"), EVERYBODY),
    "everything is relayed for": (setting(relay_domains="static:all"), EVERYBODY),
    "user%domain leads on": (way("/^(.*)%(.*)@v.test$/", "$1@$2"), EVERYBODY),
    "domain!user leads on": (way("/^(.*)!(.*)@v.test$/", "$2@$1"), EVERYBODY),
    "a way with two @ leads on": (way("/^\"?([^@]*)@([^@\"]*)\"?@v.test$/", "$1@$2"), EVERYBODY),
    "an open relay that wants known domains": (setting(
        mynetworks="0.0.0.0/0 [::]/0", smtpd_sender_restrictions="reject_unknown_sender_domain",
        smtpd_recipient_restrictions="reject_unknown_recipient_domain"), {**EVERYBODY, **SMUGGLED}),
    "an open relay behind postscreen": (f"{POSTSCREEN}; {DEEP}; " + setting(
        smtpd_relay_restrictions="check_recipient_access static:OK, reject_unauth_destination"), EVERYBODY),
    # --- sound ones that look like them ---
    "refused for now, as Debian ships it": (setting(
        smtpd_relay_restrictions="permit_mynetworks permit_sasl_authenticated defer_unauth_destination"), {}),
    "a table knows ways, and none is allowed": (way("/^(.*)%(.*)@v.test$/", "$1@$2", allowed="no"), {}),
    "ways may be followed, but lead nowhere": (setting(allow_untrusted_routing="yes"), {}),
    "ways are handed on to whom we relay for, who may refuse them": (setting(allow_untrusted_routing="yes", relay_domains="far.test"), {}),
    "ways are names like others": (setting(allow_percent_hack="no", swap_bangpath="no", resolve_dequoted_address="no"), {}),
    "every name in our domain is somebody's": (setting(local_recipient_maps="", luser_relay="alice"), {}),
    "every name in a virtual domain is somebody's": (setting(
        virtual_alias_domains="v.test", virtual_alias_maps="inline:{@v.test=alice@mx.test}", mydestination="localhost"), {}),
    "every name in a virtual domain is somebody's, and ways are followed": (setting(
        virtual_alias_domains="v.test", virtual_alias_maps="static:alice@mx.test", mydestination="v2.test"), {}),
    "our own senders are let through what comes behind": (setting(
        smtpd_recipient_restrictions="reject_unauth_destination, check_sender_access inline:{mx.test=OK}"), {}),
    "a domain is relayed for": (setting(relay_domains="far.test"), {}),
    "who is unknown is put off": (setting(
        smtpd_recipient_restrictions="check_recipient_access inline:{postmaster=OK, mx.test={450 4.2.0 come again}}"), {}),
    "postscreen, and its deep tests": (f"{POSTSCREEN}; {DEEP}", {}),
    "few mistakes are forgiven": (setting(smtpd_soft_error_limit="1", smtpd_hard_error_limit="3"), {}),
    # --- where nothing can be seen ---
    "our own networks hold our addresses": (setting(
        mynetworks="127.0.0.0/8 [::1]/128 192.0.2.0/24 [2001:db8::]/32"), UNSEEN),
    "our addresses are let through as interfaces": (setting(
        smtpd_relay_restrictions="permit_inet_interfaces, reject_unauth_destination"), {"relay 4": None, "relay 6": None}),
    "our addresses are let through by a table": (setting(
        smtpd_relay_restrictions="check_client_access static:OK, reject_unauth_destination"), {"relay 4": None, "relay 6": None}),
    "postscreen remembers nobody": (f"{POSTSCREEN}; {DEEP}; " + setting(postscreen_cache_map=""), UNSEEN),
    "only IPv6": (setting(inet_protocols="ipv6"), NO_FAMILY_4),
    "a mail may have any number of stations": (setting(hopcount_limit="5000"), {
        "smuggling 4": None, "smuggling 6": None}),
    "a filter stands before the queue": ("postconf -P submission/inet/smtpd_proxy_filter=127.0.0.1:10024", {
        "smuggling 4": None, "smuggling 6": None}),
    # --- one mail for two ---
    "bare newlines end a mail": (setting(smtpd_forbid_bare_newline="no"), SMUGGLED),
    "bare newlines end the connection": (setting(smtpd_forbid_bare_newline="reject"), {}),
    "bare newlines are only forbidden by yes": (setting(smtpd_forbid_bare_newline="yes"), {}),
    # --- manners ---
    "who talks early is obeyed": (setting(smtpd_forbid_unauth_pipelining="no", smtpd_data_restrictions=""), {
        "early 4": "yes", "early 6": "yes"}),
    "who talks early is cut off": (setting(smtpd_forbid_unauth_pipelining="yes", smtpd_data_restrictions=""), {}),
    "who talks early is refused at DATA": (setting(smtpd_forbid_unauth_pipelining="no"), {}),
    "HELO may be left out": (setting(smtpd_helo_required="no"), {"mail_without_helo 25": "yes"}),
    "VRFY tells": (setting(disable_vrfy_command="no"), {"verify 25": "yes"}),
    "the banner tells": (setting(smtpd_banner="$myhostname ESMTP $mail_name (Debian)"), {
        f"banner {port}": "mail.mx.test ESMTP Postfix (Debian)" for port in (25, 587, 465)}),
    # --- passwords ---
    "passwords in clear on 587": (
        setting(smtpd_tls_auth_only="no") + "; postconf -P submission/inet/smtpd_tls_security_level=may", {"logins 587": "PLAIN"}),
    "TLS may be left out, logging in may not": ("postconf -P submission/inet/smtpd_tls_security_level=may", {}),
    "passwords on 25": (setting(smtpd_sasl_auth_enable="yes"), {"logins_tls 25": "PLAIN"}),
    "passwords in clear on 25": (setting(smtpd_sasl_auth_enable="yes", smtpd_tls_auth_only="no"), {
        "logins 25": "PLAIN", "logins_tls 25": "PLAIN"}),
}


def read(machine):
    """What the probe says, in few words: {"relay 4": "no"}; and why it could not look."""
    out = machine.unit(PROBER, "smtp").stdout
    said, why = {}, []
    for line in out.splitlines():
        name, subject, value = line.split("\t")
        if name == "!":
            why.append(f"{subject} {value}")
            continue
        where = subject.removeprefix("port ")
        if " from " in where:
            where = "6" if ":" in where else "4"
        said[f"{name.removeprefix('smtp.')} {where}".strip()] = value
    return said, why


def in_few_words(key, value):
    """As the cases tell it: of an answer only yes or no, of ways to log in only whether there are any."""
    if value is None:
        return None
    kind = key.split()[0]
    if kind in ("relay", "mail_without_helo"):
        return value.split(":")[0].split(",")[0]
    if kind in ("logins", "logins_tls"):
        return "PLAIN" if "PLAIN" in value.split() else value
    return value


class Probed:
    """A mail server that is made anew for each case."""

    def __init__(self, machine):
        self.host = machine
        settings = " ".join(f"'{key}={value}'" for key, value in SETTINGS.items())
        machine.enter("sh", "-euc", f"""postconf -e {settings}
            cp -p /etc/postfix/main.cf /root/main.cf; cp -p /etc/postfix/master.cf /root/master.cf""")

    def become(self, change):
        """The sound server, and then the change."""
        self.host.enter("sh", "-euc", f"""cp -p /root/main.cf /root/master.cf /etc/postfix/
            {change or ':'}
            rm -f /var/lib/postfix/postscreen_cache.*
            systemctl restart postfix""", timeout=120)
        host.wait_for(lambda: {25, 465, 587} <= self.host.listening(), 30, "Postfix")


@pytest.fixture(scope="session")
def probed(world, release):
    """A booted mail server that is not guarded."""
    made = host.Host(world, release, name=f"smtp-{release}", layers=[trees.path_of(release, "hauberk")]).boot()
    host.wait_for(lambda: {25, 143, 465, 587} <= made.listening(), 60, "the services")
    yield Probed(made)
    made.close()


@pytest.mark.parametrize("case", CASES)
def test_the_probe_says_what_is(probed, case):
    change, otherwise = CASES[case]
    probed.become(change)
    began = host.time.monotonic()
    said, why = read(probed.host)
    took = host.time.monotonic() - began
    wanted = {**SOUND, **otherwise}
    wrong = {key: said.get(key) for key in wanted if in_few_words(key, said.get(key)) != wanted[key]}
    assert not wrong, f"{wrong}, not {({key: wanted[key] for key in wrong})}; not looked at: {why}"
    guard.measured(f"{probed.host.release}: {case}: {took:.1f} s")


def test_nothing_was_delivered(probed):
    """What was tried at all of them reached nobody."""
    probed.become("")
    queue = probed.host.enter("postqueue", "-j").stdout
    boxes = probed.host.enter("find", "/home", "/root/Maildir", "/var/mail", "-type", "f", "-path", "*new/*", check=False).stdout
    assert not queue and not boxes, f"{queue}{boxes}"


# --- another server ---------------------------------------------------------------------------------------------------

EXIM_SOUND = {**{key: SOUND[key] for key in UNSEEN}, "smuggling 4": None, "smuggling 6": None}    # it is sent no mail
EXIM_EARLY = {"early 4": "yes", "early 6": "yes"}
EXIM_OFFERED = {"early 4": "offered", "early 6": "offered"}


def main_part(*lines):
    """Lines for the first part of Exim's configuration."""
    return "; ".join(f"sed -i '1i {line}' /etc/exim4/exim4.conf.template" for line in lines)


def answered(**answers):
    """What a person would answer when dpkg asks."""
    return "; ".join(f"sed -i \"s|^dc_{key}=.*|dc_{key}='{value}'|\" /etc/exim4/update-exim4.conf.conf" for key, value in answers.items())


WAIT = main_part("pipelining_connect_advertise_hosts = :")
EXIM_CASES = {
    "sound": (WAIT, {}),
    "everybody is our network": (f"{WAIT}; " + answered(relay_nets="0.0.0.0/0 ; ::/0"), EVERYBODY),
    "every domain is relayed for": (f"{WAIT}; " + answered(
        eximconfig_configtype="smarthost", smarthost="192.0.2.1", relay_domains="*"), EVERYBODY),
    "every domain is relayed for, if it can be found": (f"{WAIT}; " + answered(relay_domains="*"), UNSEEN),
    "a domain is relayed for": (f"{WAIT}; " + answered(relay_domains="far.test"), {}),
    "who talks early is obeyed": (f"{WAIT}; " + main_part("smtp_enforce_sync = false"), EXIM_EARLY),
    "who talks early was offered it": ("", EXIM_OFFERED),
}


@pytest.fixture(scope="session")
def exim(world, release):
    """A booted host with Exim, made sound."""
    made = host.Host(world, release, name=f"exim-{release}", layers=[trees.path_of(release, "hauberk"), trees.path_of(release, "exim")]).boot()
    made.enter("sh", "-euc", """cat >/etc/exim4/update-exim4.conf.conf <<'END'
dc_eximconfig_configtype='internet'
dc_other_hostnames='mx.test'
dc_local_interfaces=''
dc_readhost=''
dc_relay_domains=''
dc_minimaldns='false'
dc_relay_nets=''
dc_smarthost=''
CFILEMODE='644'
dc_use_split_config='false'
dc_hide_mailname=''
dc_mailname_in_oh='true'
dc_localdelivery='mail_spool'
END
        echo mx.test >/etc/mailname
        cp -p /etc/exim4/update-exim4.conf.conf /root/; cp -p /etc/exim4/exim4.conf.template /root/""")
    yield made
    made.close()


@pytest.mark.parametrize("case", EXIM_CASES)
def test_the_probe_says_what_is_of_exim(exim, case):
    change, otherwise = EXIM_CASES[case]
    wanted = {**EXIM_SOUND, **otherwise}
    exim.enter("sh", "-euc", f"""cp -p /root/update-exim4.conf.conf /root/exim4.conf.template /etc/exim4/
        {change or ':'}
        systemctl reset-failed exim4; systemctl restart exim4""", timeout=60)
    host.wait_for(lambda: 25 in exim.listening(), 30, "Exim")
    said, why = read(exim)
    wrong = {key: said.get(key) for key in wanted if in_few_words(key, said.get(key)) != wanted[key]}
    assert not wrong, f"{wrong}, not {({key: wanted[key] for key in wrong})}; not looked at: {why}"
    mails = exim.enter("sh", "-c", "exim4 -bp; grep -hE ' (<=|=>) ' /var/log/exim4/mainlog", check=False).stdout
    assert not mails, f"it took a mail: {mails}"
