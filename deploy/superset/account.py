"""Makes the account that reads Superset for Vitrine: a role with the least rights, and one user who has only that role.

In Superset's own environment: `python account.py USERNAME [ROLE] <PASSWORD_FILE`. Doing it again gives the password
anew, and the role these rights and no others. With a ROLE of Superset's, such as Admin, the user has that one as it is.
"""

import sys

RIGHTS = [
    ("can_read", "Dashboard"),  # lists, digests
    ("can_read", "Chart"),
    ("can_read", "Dataset"),  # when data sets changed
    ("all_datasource_access", "all_datasource_access"),  # to see whatever may need a picture
    ("can_read", "Row Level Security"),  # rules are part of a picture's name
    ("can_get", "User"),  # user names, active or not, roles
    ("can_read", "CurrentUserRestApi"),  # who a session belongs to
    ("can_read", "Log"),  # popular dashboards
]
ROLE = "Vitrine"


def main() -> None:
    if len(sys.argv) not in (2, 3) or not (password := sys.stdin.read().strip()):
        sys.exit("usage: python account.py USERNAME [ROLE] <PASSWORD_FILE")
    username, name = sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else ROLE
    from superset.app import create_app

    with create_app().app_context():
        from superset import security_manager

        role = security_manager.add_role(ROLE) if name == ROLE else security_manager.find_role(name)
        if role is None:
            sys.exit(f"Superset has no role {name}.")
        if name == ROLE:
            role.permissions = [security_manager.add_permission_view_menu(*right) for right in RIGHTS]
            security_manager.update_role(role.id, ROLE)
        user = security_manager.find_user(username)
        if user is None:
            address = f"{username}@localhost"
            user = security_manager.add_user(username, name, "account", address, role, password=password)
        else:
            user.roles = [role]
            security_manager.reset_password(user.id, password)
        if not user:
            sys.exit(f"Superset did not make the user {username}; its log says why.")


if __name__ == "__main__":
    main()
