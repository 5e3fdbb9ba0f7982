"""What does a federated round cost the server?"""
