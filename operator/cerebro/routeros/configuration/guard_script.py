r"""The text of the guard's script, in RouterOS' script language (rule B13).
Pure.

What RouterOS 7.10 to 7.23 have in common decides how it is written:

* `:timestamp` is not in all of them, so Unix seconds are computed of date,
  time and `gmt-offset`. The latter is in seconds, and negative ones read as
  unsigned 32-bit numbers.
* Texts cannot be compared by order. So which ends have passed is said as a
  regular expression, digit by digit: the router's `find` goes through its rows
  once, and the script touches only those that are due.
* `/` divides only between blanks, and the order of `+` and `-` is written with
  parentheses.
* A variable that has the name of a property means the property in a `where`,
  so all names begin with `g`.

A run in which nobody is due reads three menus once. One in which somebody is
due goes through these menus once more for every twenty clients who are due,
through logins, cookies and hosts once, and through the tracked connections
once for every twenty addresses.
"""

from __future__ import annotations

import hashlib

from cerebro.routeros.access.marker import ID_LENGTH, prefix

GRACE = 15
"""Seconds after an end until the guard takes the client for due: the clocks of
router and agent differ a little, and the agent comes first.
"""

_DRIFT = 2
"""Seconds by which clock and uptime may differ more from one run to the next:
both are read in whole seconds.
"""

_STEADY_RUNS = 60
"""Runs, a minute each, that a clock which jumped ahead has to go on evenly
under NTP until it is believed; NTP asks at least every 17 minutes.
"""

BELIEVED_AFTER = (_STEADY_RUNS + 2) * 60
"""Seconds after which such a clock is believed at the latest."""

FIRST_MOMENT = 1_704_067_200
"""2024-01-01: a clock before that was not set."""


def guard_script(installation: str) -> str:
    """Return the script that ends, on a router, the access that an
    installation gave there. Lines end with a line feed.

    It raises an error on the router, which logs it, where a menu is missing.
    """
    start = len(prefix(installation))
    values = {
        "STATE": _state(installation),
        "OURS": f"^{prefix(installation)}".replace(".", "[.]"),
        "ID": str(start),
        "ID LENGTH": str(ID_LENGTH),
        "ID END": str(start + ID_LENGTH),
        "END": str(start + ID_LENGTH + 1),
        "GRACE": str(GRACE),
        "DRIFT": str(_DRIFT),
        "STEADY": str(_STEADY_RUNS),
        "FIRST": str(FIRST_MOMENT),
    }
    text = "".join(
        (_NOW, _JUMP, _DUE, _CLIENTS, _ROWS, _LOGINS, _HOSTS, _FLOWS)
    )

    for name, value in values.items():
        text = text.replace(f"<{name}>", value)

    return text


def _state(installation: str) -> str:
    """Return the name of the script's variables, which the router keeps until
    it reboots: letters and digits alone need no quotes.
    """
    digest = hashlib.sha256(installation.encode()).hexdigest()

    return f"cerebroGuard{digest[:8]}"


_NOW = r"""# Ends access on time where nobody reaches this router. Made by Cerebro, which mends it.
:global <STATE>
:global <STATE>New
:global <STATE>Runs
:local gDate [:tostr [/system/clock/get date]]
:local gTime [:tostr [/system/clock/get time]]
:local gUp [:tostr [/system/resource/get uptime]]
:local gZone [/system/clock/get gmt-offset]
:local gNtp [/system/ntp/client/get enabled]
:local gSure ([:tostr [/system/clock/get date]] = $gDate)
:if ($gNtp) do={
  :if ([/system/ntp/client/get status] != "synchronized") do={:set gSure false}
}
:if (!($gDate ~ "^20[0-9][0-9]-[0-9][0-9]-[0-9][0-9]\$")) do={:set gSure false}
:if (!($gTime ~ "^[0-9][0-9]:[0-9][0-9]:[0-9][0-9]\$")) do={:set gSure false}
:if ([:typeof $gZone] != "num") do={:set gSure false}
:local gUpSeconds 0
:local gAt [:find $gUp "w"]
:if ([:typeof $gAt] = "num") do={
  :set gUpSeconds ([:tonum [:pick $gUp 0 $gAt]] * 604800)
  :set gUp [:pick $gUp ($gAt + 1) [:len $gUp]]
}
:set gAt [:find $gUp "d"]
:if ([:typeof $gAt] = "num") do={
  :set gUpSeconds ($gUpSeconds + ([:tonum [:pick $gUp 0 $gAt]] * 86400))
  :set gUp [:pick $gUp ($gAt + 1) [:len $gUp]]
}
:if (!($gUp ~ "^[0-9][0-9]:[0-9][0-9]:[0-9][0-9]\$")) do={:set gSure false}
:local gClock 0
:if ($gSure) do={
  :set gUpSeconds ($gUpSeconds + ([:tonum [:pick $gUp 0 2]] * 3600))
  :set gUpSeconds ($gUpSeconds + ([:tonum [:pick $gUp 3 5]] * 60) + [:tonum [:pick $gUp 6 8]])
  :if ($gZone > 2147483647) do={:set gZone ($gZone - 4294967296)}
  :local gYear [:tonum [:pick $gDate 0 4]]
  :local gMonth [:tonum [:pick $gDate 5 7]]
  :if ($gMonth < 3) do={
    :set gYear ($gYear - 1)
    :set gMonth ($gMonth + 12)
  }
  :local gDays ((365 * $gYear) + ($gYear / 4) + ($gYear / 400) + [:tonum [:pick $gDate 8 10]])
  :set gDays ($gDays + (((153 * $gMonth) - 457) / 5))
  :set gDays ($gDays - (($gYear / 100) + 719469))
  :set gClock (($gDays * 86400) + ([:tonum [:pick $gTime 0 2]] * 3600))
  :set gClock ($gClock + ([:tonum [:pick $gTime 3 5]] * 60) + [:tonum [:pick $gTime 6 8]])
  :set gClock ($gClock - $gZone)
}
:if ($gClock >= <FIRST>) do={
"""
"""The clock in Unix seconds, 0 while it is not set."""

_JUMP = r"""  :local gBoot ($gClock - $gUpSeconds)
  :if ([:typeof $<STATE>] != "num") do={:set <STATE> $gBoot}
  :if ($gBoot <= ($<STATE> + <DRIFT>)) do={
    :set <STATE> $gBoot
    :set <STATE>Runs 0
  } else={
    :local gStep 1000
    :if ([:typeof $<STATE>New] = "num") do={:set gStep ($gBoot - $<STATE>New)}
    :set <STATE>New $gBoot
    :if (($gStep * $gStep) > (<DRIFT> * <DRIFT>)) do={
      :set <STATE>Runs 0
      :log warning "cerebro: the clock of this router jumped ahead, so its uptime counts"
    } else={
      :if ($gNtp) do={:set <STATE>Runs ($<STATE>Runs + 1)}
    }
    :if ($<STATE>Runs >= <STEADY>) do={:set <STATE> $gBoot}
  }
  :local gNow (($<STATE> + $gUpSeconds) - <GRACE>)
"""
"""The moment at which the router booted, by its clock, stays the same unless
the clock jumps. Back, the new one counts. Ahead, the old one does, until the
clock has gone on evenly under NTP.
"""

_DUE = r"""  :local gText (":" . [:tostr $gNow])
  :local gEnds $gText
  :local gRest ""
  :for gI from=1 to=([:len $gText] - 1) do={
    :local gPlace ([:len $gText] - $gI)
    :local gDigit [:tonum [:pick $gText $gPlace ($gPlace + 1)]]
    :if ($gDigit > 0) do={
      :local gLess ("[0-" . [:tostr ($gDigit - 1)] . "]")
      :set gEnds ($gEnds . "|" . [:pick $gText 0 $gPlace] . $gLess . $gRest)
    }
    :set gRest ($gRest . "[0-9]")
  }
  :local gDue ("<OURS>[0-9a-f]+(" . $gEnds . ")\$")
"""
"""The comments of ours whose end has passed: the end is this moment, or has a
smaller digit at some place and the same before it.
"""

_CLIENTS = r"""  :local gIds [:toarray ""]
  :local gBindings [/ip/hotspot/ip-binding/find where comment~$gDue]
  :local gEntries [/ip/firewall/address-list/find where dynamic=no comment~$gDue]
  :local gAccounts [/ip/hotspot/user/find where comment~$gDue]
  :foreach gId in=$gBindings do={
    :do {
      :local gClient [:pick [/ip/hotspot/ip-binding/get $gId comment] <ID> <ID END>]
      :set ($gIds->$gClient) 1
    } on-error={}
  }
  :foreach gId in=$gEntries do={
    :do {
      :local gClient [:pick [/ip/firewall/address-list/get $gId comment] <ID> <ID END>]
      :set ($gIds->$gClient) 1
    } on-error={}
  }
  :foreach gId in=$gAccounts do={
    :do {
      :local gClient [:pick [/ip/hotspot/user/get $gId comment] <ID> <ID END>]
      :set ($gIds->$gClient) 1
    } on-error={}
  }
  :local gGroups [:toarray ""]
  :local gGroup ""
  :foreach gId,gOne in=$gIds do={
    :if ([:len $gId] = <ID LENGTH>) do={:set gGroup ($gGroup . "|" . $gId)}
    :if ([:len $gGroup] > 215) do={
      :set gGroups ($gGroups , $gGroup)
      :set gGroup ""
    }
  }
  :if ([:len $gGroup] > 0) do={:set gGroups ($gGroups , $gGroup)}
  :local gNotes [:toarray ""]
  :foreach gSome in=$gGroups do={
    :if ([:len $gSome] > 0) do={
      :local gTheirs ("<OURS>(" . [:pick $gSome 1 [:len $gSome]] . "):(never|[0-9]+)\$")
      :foreach gId in=[/ip/hotspot/ip-binding/find where disabled=no comment~$gTheirs] do={
        :do {
          :local gNote [/ip/hotspot/ip-binding/get $gId comment]
          :set ($gNotes->$gNote) 1
        } on-error={}
      }
      :foreach gId in=[/ip/firewall/address-list/find where disabled=no dynamic=no comment~$gTheirs] do={
        :do {
          :local gNote [/ip/firewall/address-list/get $gId comment]
          :set ($gNotes->$gNote) 1
        } on-error={}
      }
      :foreach gId in=[/ip/hotspot/user/find where disabled=no comment~$gTheirs] do={
        :do {
          :local gNote [/ip/hotspot/user/get $gId comment]
          :set ($gNotes->$gNote) 1
        } on-error={}
      }
    }
  }
  :local gLater [:toarray ""]
  :foreach gNote,gOne in=$gNotes do={
    :local gEnd [:tonum [:pick $gNote <END> [:len $gNote]]]
    :local gStays ([:typeof $gEnd] != "num")
    :if (!$gStays) do={:set gStays ($gEnd > $gNow)}
    :local gClient [:pick $gNote <ID> <ID END>]
    :if ($gStays) do={:set ($gLater->$gClient) 1}
  }
"""
"""The clients of the rows that are due, and those of them of whom another row
has a later end: of a prolongation only a part may have been written.
"""

_ROWS = r"""  :local gCount 0
  :local gMacs [:toarray ""]
  :local gIps [:toarray ""]
  :local gUsers [:toarray ""]
  :foreach gId in=$gBindings do={
    :do {
      :local gNote [/ip/hotspot/ip-binding/get $gId comment]
      :local gMac [:tostr [/ip/hotspot/ip-binding/get $gId mac-address]]
      :local gIp [:tostr [/ip/hotspot/ip-binding/get $gId address]]
      :local gClient [:pick $gNote <ID> <ID END>]
      :local gEnded ([:typeof ($gLater->$gClient)] != "num")
      :if ($gEnded && ([:tonum [:pick $gNote <END> [:len $gNote]]] <= $gNow)) do={
        /ip/hotspot/ip-binding/remove $gId
        :set gCount ($gCount + 1)
        :if ([:len $gIp] > 0) do={:set ($gIps->$gIp) 1}
        :if ([:len $gMac] > 0) do={:set ($gMacs->$gMac) 1} else={
          :if ([:len $gIp] > 0) do={:set ($gMacs->$gIp) 1}
        }
      }
    } on-error={}
  }
  :foreach gId in=$gEntries do={
    :do {
      :local gNote [/ip/firewall/address-list/get $gId comment]
      :local gIp [:tostr [/ip/firewall/address-list/get $gId address]]
      :local gClient [:pick $gNote <ID> <ID END>]
      :local gEnded ([:typeof ($gLater->$gClient)] != "num")
      :if ($gEnded && ([:tonum [:pick $gNote <END> [:len $gNote]]] <= $gNow)) do={
        /ip/firewall/address-list/remove $gId
        :set gCount ($gCount + 1)
        :set ($gIps->$gIp) 1
      }
    } on-error={}
  }
  :foreach gId in=$gAccounts do={
    :do {
      :local gNote [/ip/hotspot/user/get $gId comment]
      :local gUser [:tostr [/ip/hotspot/user/get $gId name]]
      :local gClient [:pick $gNote <ID> <ID END>]
      :local gEnded ([:typeof ($gLater->$gClient)] != "num")
      :if ($gEnded && ([:tonum [:pick $gNote <END> [:len $gNote]]] <= $gNow)) do={
        /ip/hotspot/user/remove $gId
        :set gCount ($gCount + 1)
        :set ($gUsers->$gUser) 1
      }
    } on-error={}
  }
  :if ($gCount > 0) do={
"""
"""The rows that let clients in go first. The end is compared as a number too:
nothing hangs on a regular expression alone.
"""

_LOGINS = r"""    :local gKeep [:toarray ""]
    :local gRadius [:toarray ""]
    :foreach gId in=[/ip/hotspot/active/find] do={
      :do {
        :local gUser [:tostr [/ip/hotspot/active/get $gId user]]
        :local gMac [:tostr [/ip/hotspot/active/get $gId mac-address]]
        :local gIp [:tostr [/ip/hotspot/active/get $gId address]]
        :local gOwn true
        :do {
          :if ([:tostr [/ip/hotspot/active/get $gId radius]] = "true") do={:set gOwn false}
        } on-error={}
        :local gEnded ($gOwn && ([:typeof ($gUsers->$gUser)] = "num"))
        :if (!$gOwn && ([:len $gMac] > 0)) do={:set ($gRadius->$gMac) 1}
        :if ([:typeof ($gMacs->$gMac)] = "num") do={:set gEnded true}
        :if ([:typeof ($gMacs->$gIp)] = "num") do={:set gEnded true}
        :if ($gEnded) do={
          :if ($gOwn && ([:len [/ip/hotspot/user/find where name=$gUser comment~"<OURS>"]] > 0)) do={
            :if ([:len $gMac] > 0) do={:set ($gKeep->$gMac) 1}
          } else={
            :if ([:len $gMac] > 0) do={:set ($gMacs->$gMac) 1}
            :if ([:len $gIp] > 0) do={:set ($gIps->$gIp) 1}
            /ip/hotspot/active/remove $gId
          }
        }
      } on-error={}
    }
    :foreach gId in=[/ip/hotspot/cookie/find] do={
      :do {
        :local gUser [:tostr [/ip/hotspot/cookie/get $gId user]]
        :local gMac [:tostr [/ip/hotspot/cookie/get $gId mac-address]]
        :local gEnded ([:typeof ($gMacs->$gMac)] = "num")
        :if ([:typeof ($gKeep->$gMac)] = "num") do={:set gEnded false}
        :local gOwn ([:typeof ($gRadius->$gMac)] != "num")
        :if ($gOwn && ([:typeof ($gUsers->$gUser)] = "num")) do={:set gEnded true}
        :if ($gEnded) do={/ip/hotspot/cookie/remove $gId}
      } on-error={}
    }
"""
"""Logins and cookies of the clients. A login with an account of ours whose end
has not come stays. One that RADIUS let in is of no account of this router,
whatever its name: it goes with its client's rows alone, and so does its cookie.
What a row lacks reads as an empty text, which is never noted: it is no client.
"""

_HOSTS = r"""    :local gLive [:toarray ""]
    :foreach gId in=[/ip/hotspot/host/find where (bypassed=yes || authorized=yes)] do={
      :do {
        :local gMac [:tostr [/ip/hotspot/host/get $gId mac-address]]
        :local gIp [:tostr [/ip/hotspot/host/get $gId address]]
        :local gTo [:tostr [/ip/hotspot/host/get $gId to-address]]
        :local gEnded ([:typeof ($gMacs->$gMac)] = "num")
        :if ([:typeof ($gMacs->$gIp)] = "num") do={:set gEnded true}
        :if ([:typeof ($gMacs->$gTo)] = "num") do={:set gEnded true}
        :if ($gEnded) do={
          :local gOther [/ip/hotspot/ip-binding/find where mac-address=$gMac type=bypassed disabled=no]
          :if (([:typeof ($gKeep->$gMac)] = "num") || ([:len $gOther] > 0)) do={:set gEnded false}
          :set gOther [/ip/hotspot/ip-binding/find where address=$gIp type=bypassed disabled=no]
          :if (([:len $gIp] > 0) && ([:len $gOther] > 0)) do={:set gEnded false}
          :set gOther [/ip/hotspot/ip-binding/find where address=$gTo type=bypassed disabled=no]
          :if (([:len $gTo] > 0) && ([:len $gOther] > 0)) do={:set gEnded false}
        }
        :if ($gEnded) do={
          :set ($gIps->$gIp) 1
          :if ([:len $gTo] > 0) do={:set ($gIps->$gTo) 1}
          /ip/hotspot/host/remove $gId
        } else={
          :set ($gLive->$gIp) 1
          :if ([:len $gTo] > 0) do={:set ($gLive->$gTo) 1}
        }
      } on-error={}
    }
"""
"""The hosts that are let in. One that another binding lets in, ours or a
person's, by its MAC or by one of its addresses, stays.
"""

_FLOWS = r"""    :local gParts [:toarray ""]
    :local gPart ""
    :foreach gIp,gOne in=$gIps do={
      :local gListed [/ip/firewall/address-list/find where address=$gIp]
      :local gFree ([:len $gListed] = 0)
      :if ([:typeof ($gLive->$gIp)] = "num") do={:set gFree false}
      :if ([:len [:tostr $gIp]] < 7) do={:set gFree false}
      :if ($gFree) do={:set gPart ($gPart . "|" . $gIp)}
      :if ([:len $gPart] > 300) do={
        :set gParts ($gParts , $gPart)
        :set gPart ""
      }
    }
    :if ([:len $gPart] > 0) do={:set gParts ($gParts , $gPart)}
    :foreach gSome in=$gParts do={
      :if ([:len $gSome] > 0) do={
        :local gFlows ("^(" . [:pick $gSome 1 [:len $gSome]] . ")(:|\$)")
        :foreach gId in=[/ip/firewall/connection/find where src-address~$gFlows] do={
          :do {/ip/firewall/connection/remove $gId} on-error={}
        }
      }
    }
    :log info ("cerebro: rows whose end has passed, removed: " . [:tostr $gCount])
  }
}
"""
"""The tracked connections of addresses at which nobody is let in any more, and
which no list of the router has. A point matches any character there, which changes nothing: an address has three.
`:toarray ""` may hold an empty text, so what is shorter than an address is none.
"""
